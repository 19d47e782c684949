package agent

import "sync"

// fault is what is wrong with something now, for the status and for one log line at each change. The zero value is well. Safe for
// concurrent use.
type fault struct {
	mu   sync.Mutex
	text string
}

// set notes what is wrong, empty for nothing, and tells whether that is another thing than before.
func (f *fault) set(text string) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed, f.text = f.text != text, text
	return changed
}

func (f *fault) get() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text
}
