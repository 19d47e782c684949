package backoff

import (
	"fmt"
	"time"
)

const (
	missingLeast  = 30 * time.Second // between two re-dials for what a server does not acknowledge
	missingMost   = 10 * time.Minute // the same, while it goes on
	missingForget = 10 * time.Minute // that nothing is missing: then the server acknowledges what it gets
)

// Missing paces the planned re-dials to a server that does not acknowledge some publishes, and says so. A record that it never
// acknowledges is missing on each session: its re-dials become rare. Pure: now comes in. The zero value has seen nothing.
type Missing struct {
	gap   time.Duration // until the next re-dial
	last  time.Time     // re-dial
	since time.Time     // when it began; zero: it is over
	seen  time.Time     // when something was missing last
	count int64         // since it began
}

// Seen is called at each look, with whether something is missing, and how many packets have become so since the last one. It
// reports whether it has begun, and whether it is over.
func (m *Missing) Seen(now time.Time, missing bool, fresh int) (began, over bool) {
	switch ongoing := !m.since.IsZero(); {
	case missing:
		if began = !ongoing; began {
			*m = Missing{since: now}
		}
		m.seen = now
		m.count += int64(fresh)
	case ongoing && m.Over(now) <= 0:
		*m, over = Missing{}, true
	}
	return began, over
}

// Over is how long it takes until it is over, if nothing is missing any more; 0: it is.
func (m *Missing) Over(now time.Time) time.Duration {
	if m.since.IsZero() {
		return 0
	}
	return missingForget - now.Sub(m.seen)
}

// Wait is how long the next re-dial has to wait; not above 0: it has not.
func (m *Missing) Wait(now time.Time) time.Duration { return m.gap - now.Sub(m.last) }

// Redialed is called when a re-dial begins.
func (m *Missing) Redialed(now time.Time) {
	m.last, m.gap = now, min(max(missingLeast, 2*m.gap), missingMost)
}

// Why is a sentence about server while it goes on; else empty.
func (m *Missing) Why(server string) string {
	if m.since.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s does not acknowledge some publishes: %d since %s, while it acknowledged later ones; they are sent "+
		"again over a new connection: look at the server's limits for a client, such as throttling and quotas", server,
		m.count, m.since.UTC().Format(time.TimeOnly))
}
