package transport

import (
	"context"
	"errors"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// The planned re-dial: to the same server, to another node behind the same name, by another interface, or to a better server. To the
// same server: a new connection up to TLS, DISCONNECT on the old one, which suppresses its will, CONNECT on the new one. To another
// server: a whole session there, before this one ends. Nothing is lost: it waits for a moment with nothing in flight.

const (
	clusterTime = 3 * time.Second // that a session which is about to be up at another node is waited for
	renewRetry  = time.Hour       // after one for max_session that failed
	lookAgain   = 2 * time.Second // after a re-dial that failed, at the ways out
	hurry       = 4               // times faster, where the path is gone
	moveWithin  = 5 * time.Second // that what was prepared waits for a quiet moment
)

// move is a wanted re-dial.
type move struct {
	to  int    // server
	pin bool   // to the same address, on the same way out
	way string // by this interface; "": any
	now bool   // the path is about to go, or has: no quiet moment is waited for
}

// spare is what a planned re-dial goes on with: a connection up to TLS to the same server, or, to another one, a session that is
// up already.
type spare struct {
	to      int
	stream  *netdial.Stream
	session *session
	err     error
}

func (sp *spare) close() {
	if sp.session != nil {
		sp.session.abandon()
	} else if sp.stream != nil {
		_ = sp.stream.Raw.Close()
	}
}

// want asks for a re-dial; one that is wanted already goes first.
func (s *session) want(m move) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == nil || m.now && !s.wanted.now && !s.preparing && s.next == nil {
		s.wanted = &m
	}
	s.poke()
}

// moving is the re-dial that is wanted; false: none is.
func (s *session) moving() (move, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted == nil {
		return move{}, false
	}
	return *s.wanted, true
}

// mayMove prepares a wanted re-dial, and reports that it is ready and the moment quiet; or that it was ready for too long.
func (s *session) mayMove(now time.Time) bool {
	s.mu.Lock()
	wanted, late, calm := s.wanted, s.isLate, !s.isLate && s.asked.IsZero()
	s.mu.Unlock()
	if wanted == nil || !s.isUp {
		return false
	}
	if s.next != nil && s.next.over() {
		s.next.close()
		s.next = nil
		s.prepared(spare{to: wanted.to, err: faults.ErrEnded}, now)
		return false
	}
	if s.next != nil {
		return wanted.now || calm && s.flight.inFlight() == 0 || !now.Before(s.nextBy)
	}
	if (!late || wanted.now) && !s.preparing {
		s.preparing = true
		stableFor := s.l.backoff.StableAfter(wanted.to)
		s.l.group.Go(func() { s.spare <- s.prepare(*wanted, stableFor) })
	}
	return false
}

// prepare opens what a re-dial goes on with.
func (s *session) prepare(m move, stableFor time.Duration) spare {
	sp := spare{to: m.to}
	switch {
	case m.to != s.i:
		sp.session, sp.err = s.l.candidate(s.ctx, m.to, stableFor)
	case s.unreadable(&sp):
	case m.pin:
		sp.stream, sp.err = s.l.dialer.OpenOn(s.ctx, s.e, netdial.CauseHandshake, s.stream.Path())
	default:
		sp.stream, sp.err = s.l.dialer.OpenOn(s.ctx, s.e, netdial.CauseHandshake, netdial.Path{Interface: m.way})
	}
	return sp
}

// unreadable reports that the password cannot be read, so that the old session had better stay.
func (s *session) unreadable(sp *spare) bool {
	_, sp.err = s.e.ReadPassword()
	return sp.err != nil
}

// prepared is called with the result of prepare.
func (s *session) prepared(sp spare, now time.Time) {
	s.preparing, s.lookAt = false, now.Add(lookAgain) // what changed meanwhile was not acted on
	if sp.err == nil {
		s.next, s.nextBy = &sp, now.Add(moveWithin)
		return
	}
	s.mu.Lock()
	failed := *s.wanted
	s.wanted = nil
	s.mu.Unlock()
	switch {
	case failed.to != s.i:
		s.l.unfit(failed.to, sp.err, s.info.Number, now)
	case failed.way != "":
		s.l.dialer.Interfaces.Cooldown.Fail(failed.way, now)
		s.lookAtWays(now)
	case failed.now: // the look decides
	case !failed.pin:
		s.renewAt = now.Add(renewRetry)
	} // else the learner asks again
}

// consider looks for a reason to re-dial: a better server that may be back, or a session that has lasted for its time.
func (s *session) consider(now time.Time) {
	if _, wanted := s.moving(); !s.isUp || wanted {
		return
	}
	if !s.lookAt.IsZero() && !now.Before(s.lookAt) {
		s.lookAt = time.Time{}
		s.lookAtWays(now)
	}
	if at := s.returnAt(); !at.IsZero() && !now.Before(at) {
		to, _, _ := s.l.backoff.Better(s.i)
		s.want(move{to: to})
	} else if !s.wayAt.IsZero() && !now.Before(s.wayAt) {
		s.wayAt = time.Time{}
		if name, _ := s.l.dialer.Interfaces.Better(s.stream.Bound); name != "" {
			s.want(move{to: s.i, way: name})
		}
	} else if !s.renewAt.IsZero() && !now.Before(s.renewAt) {
		s.renewAt = time.Time{}
		s.want(move{to: s.i})
	}
}

// returnAt is when a better server is asked whether it is back; zero: there is none. A fleet that was thrown off together does not
// return together.
func (s *session) returnAt() time.Time {
	_, at, ok := s.l.backoff.Better(s.i)
	if !ok || !s.isUp {
		return time.Time{}
	}
	return later(at, s.upSince.Add(holdDown*s.l.o.DetectWithin)).Add(s.spread)
}

// considerAt is when consider must be called next, or what was prepared is gone on with; zero: nothing is to come. mu is held.
func (s *session) considerAt() time.Time {
	if !s.isUp || s.wanted != nil {
		return s.nextBy
	}
	at := s.returnAt()
	for _, other := range []time.Time{s.renewAt, s.wayAt, s.lookAt} {
		if !other.IsZero() && (at.IsZero() || other.Before(at)) {
			at = other
		}
	}
	return at
}

// candidate opens a session at server i while another one goes on. It is up but for its birth, which is published when it takes
// over; stableFor is how long it must last then.
func (l *Link) candidate(ctx context.Context, i int, stableFor time.Duration) (*session, error) {
	e := l.endpoints[i]
	password, err := e.ReadPassword()
	if err != nil {
		return nil, err
	}
	stream, err := l.dialer.Open(ctx, e, netdial.CauseHandshake)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	info := Session{Number: l.status.Sessions + 1, Server: e.Name, Since: time.Now()}
	l.mu.Unlock()
	s := l.newSession(stream, i, info, stableFor, password, true)
	s.candidate = true
	s.begin()
	timer := time.NewTimer(l.dialer.HandshakeTime())
	defer timer.Stop()
	select {
	case <-s.done:
		return s, nil
	case <-s.lost:
		err = s.cause
	case <-timer.C:
		err = errors.New(s.setupSilence())
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.abandon()
	return nil, err
}

// abandon ends a session that nobody took over.
func (s *session) abandon() {
	s.cancel()
	if s.isAccepted() {
		s.l.group.Go(s.conn.goodbye)
		select {
		case <-s.lost:
		case <-time.After(goodbyeTime):
		}
	}
	_ = s.conn.Close()
	s.flight.fail(ErrStopped)
}

// move ends this session in favour of the next. To another server that one is up already, so this one says goodbye in the
// background, and that it is offline, as nobody there may hear of the next.
func (s *session) move() {
	s.flight.moved.Store(true)
	s.flight.stop()
	s.l.detach(s)
	if next := s.next.session; next != nil {
		gone := make(chan struct{})
		next.before = gone
		s.l.group.Go(func() { defer close(gone); s.sayOffline(); s.leave() })
		return
	}
	patience := time.Duration(1)
	if m, _ := s.moving(); m.now { // hardly anything gets through
		patience = hurry
	}
	drain, cancel := context.WithTimeout(context.Background(), drainTime/patience)
	s.flight.drained(drain)
	cancel()
	s.leaveWithin(goodbyeTime / patience)
}

// leave says DISCONNECT and ends the session.
func (s *session) leave() { s.leaveWithin(goodbyeTime) }

func (s *session) leaveWithin(patience time.Duration) {
	s.l.group.Go(s.conn.goodbye)
	select {
	case <-s.lost:
	case <-time.After(patience):
	}
	_ = s.conn.Close()
	s.flight.fail(ErrLost)
}

// takeSpare hands on what was prepared, or closes it when the session ended otherwise. A session at another server that is about to
// be up is waited for: servers of one cluster close the old session of an id as soon as the new one is there.
func (s *session) takeSpare(v faults.Verdict) (*spare, faults.Verdict) {
	m, wanted := s.moving()
	if s.preparing && wanted && m.to != s.i && v.Kind == faults.OutcomeClosed {
		timer := time.NewTimer(clusterTime)
		defer timer.Stop()
		select {
		case sp := <-s.spare:
			s.preparing, s.next = false, &sp
		case <-timer.C:
		}
	}
	s.cancel()
	if s.preparing {
		sp := <-s.spare // soon: it was cancelled
		s.next = &sp
	}
	switch {
	case s.next == nil:
		return nil, v
	case s.next.err != nil:
		return nil, v
	case v.Kind == faults.OutcomePlanned:
	case s.next.session != nil && v.Kind != faults.OutcomeStopped && !s.next.over():
		v = faults.Verdict{Kind: faults.OutcomePlanned, Up: true}
	default:
		s.next.close()
		return nil, v
	}
	return s.next, v
}

// over reports that the prepared session was lost before it was needed.
func (sp *spare) over() bool {
	if sp.session == nil {
		return false
	}
	select {
	case <-sp.session.lost:
		return true
	default:
		return false
	}
}

const holdDown = 2 // detect_within: how long a session lasts before a better server is looked for
