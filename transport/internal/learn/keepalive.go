package learn

import (
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// What CONNECT says: it follows the beat, by a planned re-dial.

const (
	keepFactor     = 2 // times the beat: what CONNECT says, so that a server notices a dead gateway soon
	keepFactorPair = 4 // where the beat is kept by a second session, and pings are rare
	redialRetry    = time.Hour
)

// Begin says how a new session starts: its beat, and what its CONNECT says. An unknown path gets the ceiling, so that the beat
// may grow without a re-dial. A planned one on the same path goes on where the last one was.
func (le *Learner) Begin(e *netdial.Endpoint, p netdial.Path, planned bool) (interval, keepalive time.Duration) {
	interval, keepalive = le.Idle(), le.env.Keepalive
	st, lasting := le.status.beats()
	same := planned && st.Path == le.pathOf(e, p)
	if le.On() {
		if interval = le.o.Min; same {
			interval = st.Interval
		}
	}
	if le.env.AdaptKeep {
		switch remembered := le.keep.recalled(e, p); {
		case same, !le.On():
			keepalive = le.keep.valueFor(max(interval, lasting))
		case remembered > 0:
			keepalive = le.keep.valueFor(remembered)
		}
		keepalive = e.AllowedKeepalive(keepalive)
	}
	return min(interval, keepalive), keepalive
}

// keepalives decide what CONNECT says.
type keepalives struct {
	le          *Learner
	redialAfter time.Time // no planned re-dial before
}

// valueFor is the CONNECT value for a beat.
func (ka *keepalives) valueFor(interval time.Duration) time.Duration {
	factor := keepFactor
	if ka.le.o.Canary.Pair {
		factor = keepFactorPair
	}
	keep := max(heartbeat.LeastKeepalive, time.Duration(factor)*interval).Truncate(time.Second)
	return min(keep, ka.le.env.Keepalive)
}

// recalled is what is remembered of the path of a new connection; 0: nothing.
func (ka *keepalives) recalled(e *netdial.Endpoint, p netdial.Path) time.Duration {
	if !ka.le.On() || ka.le.o.Memory == nil {
		return 0
	}
	k, _ := ka.le.o.Memory.Recall(ka.le.pathOf(e, p))
	return k.Proven
}

// pathOf names the path of a connection.
func (le *Learner) pathOf(e *netdial.Endpoint, p netdial.Path) string {
	if le.o.Path == nil {
		return e.Name
	}
	return le.o.Path(e.Name, p.Local)
}

// adapt asks for a planned re-dial once the beat is settled and what CONNECT said no longer fits it.
func (ka *keepalives) adapt(now time.Time) {
	s := ka.le.main
	if !ka.le.env.AdaptKeep || s == nil || !ka.le.search.Settled() || now.Before(ka.redialAfter) {
		return
	}
	target := s.Endpoint().AllowedKeepalive(ka.valueFor(ka.le.beat.lasting()))
	keepalive := s.Keepalive()
	if fits := keepalive <= target+target/4 && keepalive >= target-target/4; !fits {
		ka.redialAfter = now.Add(redialRetry)
		s.Redial()
	}
}
