package pump

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// refusalShown is how long a record that could not be published stays in the status.
const refusalShown = time.Hour

// refusals are the records that could not be published, for the status. Safe for concurrent use.
type refusals struct {
	mu    sync.Mutex
	count int       // since nothing was shown
	last  time.Time // zero: none
	what  string
	held  []string  // devices
	until time.Time // when they are tried again
}

// holds is called with the devices that are held back; it reports whether they are others than before.
func (r *refusals) holds(devices []string, until time.Time) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed = !slices.Equal(r.held, devices)
	r.held, r.until = devices, until
	return changed
}

// note is called with what was given up, and why.
func (r *refusals) note(p *publish, why error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.last) >= refusalShown {
		r.count = 0
	}
	r.count += len(p.positions)
	r.last = now
	r.what = fmt.Sprintf("number %d of %q, %d bytes: %v", p.seq, p.stream, len(p.message.Payload), why)
}

// why is a sentence for a while after the last one; else empty.
func (r *refusals) why(now time.Time) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.held) > 0 {
		return fmt.Sprintf("the server closes the connection at each record of %s: held back until %s; "+
			"allow the topic in the access rules; %d records are in quarantine", strings.Join(r.held, ", "),
			r.until.UTC().Format(time.TimeOnly), r.count)
	}
	switch {
	case r.last.IsZero() || now.Sub(r.last) >= refusalShown:
		return ""
	case r.count == 1:
		return "1 record could not be published and is in quarantine: " + r.what
	}
	return fmt.Sprintf("%d records could not be published and are in quarantine, the last one %s", r.count, r.what)
}
