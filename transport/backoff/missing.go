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

// Seen is called while something is missing, with how many packets have become so since the last call. It reports whether that
// is news.
func (m *Missing) Seen(now time.Time, fresh int) (began bool) {
	if began = m.since.IsZero(); began {
		*m = Missing{since: now}
	}
	m.seen = now
	m.count += int64(fresh)
	return began
}

// Settled is called while nothing is missing. It reports whether it is over, once.
func (m *Missing) Settled(now time.Time) (over bool) {
	if m.since.IsZero() || now.Before(m.Over()) {
		return false
	}
	*m = Missing{}
	return true
}

// Over is when it is over, if nothing is missing until then; zero: it is.
func (m *Missing) Over() time.Time {
	if m.since.IsZero() {
		return time.Time{}
	}
	return m.seen.Add(missingForget)
}

// At is when to dial for what is overdue since then. At once: the window has no room for more that is missing.
func (m *Missing) At(overdue time.Time, atOnce bool) time.Time {
	if next := m.last.Add(m.gap); !atOnce && next.After(overdue) {
		return next
	}
	return overdue
}

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
