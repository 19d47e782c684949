package transport

import (
	"context"
	"time"
)

// What CONNECT says, and the planned re-dial that changes it: a new connection up to TLS, DISCONNECT on the old one, which
// suppresses its will, CONNECT on the new one. Nothing is lost: it waits for a moment with nothing in flight.

const (
	leastKeepalive = 60 * time.Second
	keepFactor     = 2 // CONNECT over the beat, so that a server notices a dead gateway soon
	keepFactorPair = 4 // where the beat is kept by a second session, and pings are rare
	redialRetry    = time.Hour
)

// spareStream is the result of prepare.
type spareStream struct {
	s   *stream
	err error
}

// begin says how a new session starts: its beat, and what its CONNECT says. An unknown path gets the ceiling, so that the beat
// may grow without a re-dial.
func (le *learner) begin(e *endpoint, s *stream, planned bool) (interval, keepalive time.Duration) {
	interval, keepalive = le.l.o.Interval, le.l.o.Keepalive
	st, _ := le.status.get()
	if le.on() {
		if interval = le.o.Min; planned {
			interval = st.Interval
		}
	}
	if le.l.o.AdaptKeep {
		switch remembered := le.recalled(e, s); {
		case planned:
			keepalive = le.keepaliveFor(interval)
		case !le.on():
			keepalive = le.keepaliveFor(interval)
		case remembered > 0:
			keepalive = le.keepaliveFor(remembered)
		}
		keepalive = e.allowed(keepalive)
	}
	return min(interval, keepalive), keepalive
}

// keepaliveFor is the CONNECT value for a beat.
func (le *learner) keepaliveFor(interval time.Duration) time.Duration {
	factor := keepFactor
	if le.o.Canary.Pair {
		factor = keepFactorPair
	}
	keep := max(leastKeepalive, time.Duration(factor)*interval).Truncate(time.Second)
	return min(keep, le.l.o.Keepalive)
}

// recalled is what is remembered of the path of a new connection; 0: nothing.
func (le *learner) recalled(e *endpoint, s *stream) time.Duration {
	if !le.on() || le.o.Memory == nil {
		return 0
	}
	k, _ := le.o.Memory.Recall(le.l.pathOf(e, s))
	return k.Proven
}

// pathOf names the path of a connection.
func (l *Link) pathOf(e *endpoint, s *stream) string {
	if l.o.Learning.Path == nil {
		return e.name
	}
	return l.o.Learning.Path(e.name, s.raw.LocalAddr())
}

// lower is called when the server refused a CONNECT in a way that may mean its keepalive (mosquitto's max_keepalive: "identifier
// rejected"); false: it was as low as can be.
func (e *endpoint) lower(refused time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if refused <= leastKeepalive {
		e.maxKeep = 0 // that was not it
		return false
	}
	e.maxKeep = max(leastKeepalive, (refused / 2).Truncate(time.Second))
	return true
}

// allowed is d, or what the server takes.
func (e *endpoint) allowed(d time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.maxKeep > 0 {
		return min(d, e.maxKeep)
	}
	return d
}

// adapt asks for a planned re-dial once the beat is settled and what CONNECT said no longer fits it.
func (le *learner) adapt(now time.Time) {
	s := le.main
	if !le.l.o.AdaptKeep || s == nil || !le.search.Settled() || now.Before(le.redialAfter) {
		return
	}
	want := s.e.allowed(le.keepaliveFor(le.interval))
	if fits := s.keepalive <= want+want/4 && s.keepalive >= want-want/4; !fits {
		le.redialAfter = now.Add(redialRetry)
		s.wantRedial()
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

func (s *session) wantRedial() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.redial = true
	s.poke()
}

// quietNow reports whether a re-dial is wanted, and would disturb nothing.
func (s *session) quietNow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.redial && s.isUp && !s.isLate && s.asked.IsZero() && s.flight.inFlight() == 0
}

// mayMove prepares a wanted re-dial, and reports that all is ready for it.
func (s *session) mayMove() bool {
	if !s.quietNow() {
		return false
	}
	if s.next == nil && !s.preparing {
		s.preparing = true
		s.l.group.Go(func() {
			next, err := s.l.openTo(s.ctx, s.e, causeHandshake, s.conn.RemoteAddr(), s.conn.LocalAddr())
			s.spare <- spareStream{next, err}
		})
	}
	return s.next != nil
}

// prepared is called with the new connection.
func (s *session) prepared(spare spareStream) {
	s.preparing = false
	if spare.err != nil { // the learner asks again later
		s.mu.Lock()
		s.redial = false
		s.mu.Unlock()
		return
	}
	s.next = spare.s
}

// move ends this session in favour of the next.
func (s *session) move() {
	s.flight.moved.Store(true)
	s.flight.stop()
	s.l.detach(s)
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	s.flight.drained(drain)
	cancel()
	s.l.group.Go(s.conn.goodbye)
	select {
	case <-s.lost:
	case <-time.After(goodbyeTime):
	}
	_ = s.conn.Close()
	s.flight.fail(ErrLost)
}

// takeSpare hands the prepared connection on, or closes it when the session ended otherwise.
func (s *session) takeSpare(v verdict) *stream {
	s.cancel()
	if s.preparing {
		if spare := <-s.spare; spare.err == nil {
			s.next = spare.s
		}
	}
	if v.kind == outcomePlanned || s.next == nil {
		return s.next
	}
	_ = s.next.raw.Close()
	return nil
}
