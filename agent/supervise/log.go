package supervise

import (
	"io"
	"sync"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// Fault is what is wrong with something now, for the status and for one log line at each change. The zero value is well. Safe for
// concurrent use.
type Fault struct {
	mu   sync.Mutex
	text string
}

// Set notes what is wrong, empty for nothing, and tells whether that is another thing than before.
func (f *Fault) Set(text string) (changed bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed, f.text = f.text != text, text
	return changed
}

// Get is what is wrong; empty: nothing.
func (f *Fault) Get() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text
}

// Level drops log lines below a level that can be changed while the agent runs; zerolog's own is either global or fixed.
type Level struct{ least atomic.Int32 }

// Set changes the level; lines below it are dropped from now on.
func (l *Level) Set(v zerolog.Level) { l.least.Store(int32(v)) }

// Run is zerolog's hook.
func (l *Level) Run(e *zerolog.Event, v zerolog.Level, _ string) {
	if int32(v) < l.least.Load() {
		e.Discard()
	}
}

// Str adds a field to a log line, unless its text is empty.
func Str(line *zerolog.Event, key, text string) *zerolog.Event {
	if text == "" {
		return line
	}
	return line.Str(key, text)
}

// maxLogged bounds each string of a log line, in bytes: a stranger may choose how long it is.
const maxLogged = 4 << 10

// NewLog is a log of JSON lines with times. It is the edge: whatever a field holds, no character of it steers a terminal or hides
// text. zerolog alone leaves DEL, C1 and bidi controls as they are.
func NewLog(out io.Writer, level *Level) zerolog.Logger {
	return zerolog.New(printable.NewLogWriter(out, maxLogged)).Hook(level).With().Timestamp().Logger()
}
