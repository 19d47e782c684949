package pump

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	refusalShown = time.Hour // that a record that could not be published stays in the status
	streamsShown = 5         // that are named
)

// refusals are the records that could not be published, for the status. Safe for concurrent use.
type refusals struct {
	mu    sync.Mutex
	count int       // since nothing was shown
	last  time.Time // zero: none
	what  string
	large tooLarge
	held  []string  // devices
	until time.Time // when they are tried again
}

// tooLarge are those that are larger than what the server takes.
type tooLarge struct {
	count   int
	last    time.Time
	streams []string // some of theirs
	why     string
}

func (t *tooLarge) note(p *publish, why error, now time.Time) {
	if now.Sub(t.last) >= refusalShown {
		*t = tooLarge{}
	}
	t.count += len(p.positions)
	if t.last, t.why = now, why.Error(); !slices.Contains(t.streams, p.stream) && len(t.streams) < streamsShown {
		t.streams = append(t.streams, p.stream)
	}
}

// sentence is for a while after the last one; else empty.
func (t *tooLarge) sentence(now time.Time) string {
	if t.count == 0 || now.Sub(t.last) >= refusalShown {
		return ""
	}
	frames := fmt.Sprintf("%d frames of %s are", t.count, strings.Join(t.streams, ", "))
	if t.count == 1 {
		frames = "1 frame of " + t.streams[0] + " is"
	}
	return fmt.Sprintf("%s: %s in quarantine; raise message_size_limit (mosquitto) or max_packet_size (EMQX, HiveMQ) there and "+
		"run linkbeat reconnect, or lower frame.max of the device", t.why, frames)
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
	var large *tooLargeError
	if errors.As(why, &large) {
		r.large.note(p, why, now)
		return
	}
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
	first, others := r.large.sentence(now), r.others(now)
	if first == "" || others == "" {
		return first + others
	}
	return first + "; " + others
}

// others are all but what is too large for the server; mu is held.
func (r *refusals) others(now time.Time) string {
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
