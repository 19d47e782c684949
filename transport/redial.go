package transport

import (
	"time"

	"github.com/linkbeat/linkbeat/transport/netdial"
)

// What CONNECT says: it follows the beat, by a planned re-dial (move.go).

const (
	keepFactor     = 2 // CONNECT over the beat, so that a server notices a dead gateway soon
	keepFactorPair = 4 // where the beat is kept by a second session, and pings are rare
	redialRetry    = time.Hour
)

// begin says how a new session starts: its beat, and what its CONNECT says. An unknown path gets the ceiling, so that the beat
// may grow without a re-dial. A planned one on the same path goes on where the last one was.
func (le *learner) begin(e *netdial.Endpoint, s *netdial.Stream, planned bool) (interval, keepalive time.Duration) {
	interval, keepalive = le.l.idle(), le.l.o.Keepalive
	st, _ := le.status.get()
	same := planned && st.Path == le.l.pathOf(e, s)
	if le.on() {
		if interval = le.o.Min; same {
			interval = st.Interval
		}
	}
	if le.l.o.AdaptKeep {
		switch remembered := le.recalled(e, s); {
		case same, !le.on():
			keepalive = le.keepaliveFor(interval)
		case remembered > 0:
			keepalive = le.keepaliveFor(remembered)
		}
		keepalive = e.AllowedKeepalive(keepalive)
	}
	return min(interval, keepalive), keepalive
}

// keepaliveFor is the CONNECT value for a beat.
func (le *learner) keepaliveFor(interval time.Duration) time.Duration {
	factor := keepFactor
	if le.o.Canary.Pair {
		factor = keepFactorPair
	}
	keep := max(netdial.LeastKeepalive, time.Duration(factor)*interval).Truncate(time.Second)
	return min(keep, le.l.o.Keepalive)
}

// recalled is what is remembered of the path of a new connection; 0: nothing.
func (le *learner) recalled(e *netdial.Endpoint, s *netdial.Stream) time.Duration {
	if !le.on() || le.o.Memory == nil {
		return 0
	}
	k, _ := le.o.Memory.Recall(le.l.pathOf(e, s))
	return k.Proven
}

// pathOf names the path of a connection.
func (l *Link) pathOf(e *netdial.Endpoint, s *netdial.Stream) string {
	if l.o.Learning.Path == nil {
		return e.Name
	}
	return l.o.Learning.Path(e.Name, s.Raw.LocalAddr())
}

// adapt asks for a planned re-dial once the beat is settled and what CONNECT said no longer fits it.
func (le *learner) adapt(now time.Time) {
	s := le.main
	if !le.l.o.AdaptKeep || s == nil || !le.search.Settled() || now.Before(le.redialAfter) {
		return
	}
	want := s.e.AllowedKeepalive(le.keepaliveFor(le.interval))
	if fits := s.keepalive <= want+want/4 && s.keepalive >= want-want/4; !fits {
		le.redialAfter = now.Add(redialRetry)
		s.want(move{to: s.i, pin: true})
	}
}

// setInterval changes the beat, at once.
func (s *session) setInterval(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.beat.SetInterval(min(d, s.keepalive))
	s.poke()
}

// heardSince reports whether anything came in since t.
func (s *session) heardSince(t time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard.After(t)
}
