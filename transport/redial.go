package transport

import (
	"context"
	"errors"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// The planned re-dial: to the same server, to another node behind the same name, by another interface, or to a better server. To
// the same server: a new connection up to TLS, DISCONNECT on the old one, which suppresses its will, CONNECT on the new one. To
// another server: a whole session there, before this one ends. Nothing is lost: it waits for a moment with nothing in flight.

const (
	clusterTime = 3 * time.Second // the longest wait for a session that is about to be up at another node
	renewRetry  = time.Hour       // after a re-dial for max_session that failed
	lookAgain   = 2 * time.Second // after a re-dial that failed, until interfaces and routes are looked at again
	quietWithin = 5 * time.Second // the longest that a prepared connection waits for a moment with nothing in flight

	holdDown     = 2   // detect_within: how long a session lasts before a better server is looked for
	returnSpread = 0.5 // of detect_within: how much later some look than others
	renewJitter  = 0.1 // of max_session, earlier or later
)

// redial is a request for a re-dial: to which server, and how.
type redial struct {
	to       int    // server
	samePath bool   // to the same address, by the same interface
	iface    string // by this interface; "": any
	now      bool   // the path is about to go, or has: it does not wait for a quiet moment
	missing  bool   // for what the server does not acknowledge; nor does this

	asked  bool         // by a person, and for no other reason
	failed chan<- error // capacity 1: told why it failed; nil: nobody asked
}

// standby is the connection that was prepared for a planned re-dial: to the same server one up to TLS, to another server a whole
// session that is up.
type standby struct {
	to      int
	stream  *netdial.Stream
	session *session
	err     error
}

func (sp *standby) close() {
	if sp.session != nil {
		sp.session.abandon()
	} else if sp.stream != nil {
		_ = sp.stream.Raw.Close()
	}
}

// redialing is the planned re-dial of a session; of the loop.
type redialing struct {
	s         *session
	results   chan standby  // of prepare
	preparing bool          // a result is still to come
	next      *standby      // the prepared connection; nil: none is ready
	nextBy    time.Time     // it is used by then, however busy the session is
	renewAt   time.Time     // max_session; zero: never
	spread    time.Duration // by which this link looks for a better server later than others
}

// request asks for a re-dial. One that was requested before stays, unless m is urgent and nothing is prepared yet.
func (r *redialing) request(m redial) {
	r.s.guarded.Lock()
	defer r.s.guarded.Unlock()
	if r.s.guarded.requested == nil || m.now && !r.s.guarded.requested.now && !r.preparing && r.next == nil {
		if was := r.s.guarded.requested; was != nil {
			m.failed = was.failed
		}
		r.s.guarded.requested = &m
	}
	r.s.life.wakeUp()
}

// ask asks for a re-dial because a person wants one: whether it fails is told on failed. One that was requested before is taken
// for it. A session that waits for an answer in vain has no quiet moment to wait for.
func (r *redialing) ask(failed chan<- error) {
	r.s.guarded.Lock()
	defer r.s.guarded.Unlock()
	m := redial{to: r.s.i, now: r.s.guarded.late, asked: true}
	if was := r.s.guarded.requested; was != nil {
		m = *was // a copy: it may be prepared just now
	}
	m.failed = failed
	r.s.guarded.requested = &m
	r.s.life.wakeUp()
}

// requested returns the re-dial that was requested; false: none was.
func (r *redialing) requested() (redial, bool) {
	r.s.guarded.Lock()
	defer r.s.guarded.Unlock()
	if r.s.guarded.requested == nil {
		return redial{}, false
	}
	return *r.s.guarded.requested, true
}

// ready prepares a requested re-dial. It reports true when the connection is prepared and nothing is in flight, or when a quiet
// moment was waited for too long.
func (r *redialing) ready(now time.Time) bool {
	r.s.guarded.Lock()
	want, late, calm := r.s.guarded.requested, r.s.guarded.late, !r.s.guarded.late && r.s.guarded.unansweredSince.IsZero()
	r.s.guarded.Unlock()
	if want == nil || !r.s.up.is {
		return false
	}
	if r.next != nil && r.next.ended() {
		r.next.close()
		r.next = nil
		r.prepared(standby{to: want.to, err: faults.ErrEnded}, now)
		return false
	}
	if r.next != nil {
		return want.now || want.missing || calm && r.s.window.inFlight() == 0 || !now.Before(r.nextBy)
	}
	if (!late || want.now) && !r.preparing {
		r.preparing = true
		stableFor := r.s.l.backoff.StableAfter(want.to)
		r.s.l.group.Go(func() { r.results <- r.prepare(*want, stableFor) })
	}
	return false
}

// prepare opens the connection of a re-dial. It runs beside the loop.
func (r *redialing) prepare(m redial, stableFor time.Duration) standby {
	sp := standby{to: m.to}
	switch {
	case m.to != r.s.i:
		sp.session, sp.err = r.s.l.candidate(r.s.life.ctx, m.to, stableFor)
	case r.unreadable(&sp):
	case m.samePath:
		sp.stream, sp.err = r.s.l.dialer.OpenOn(r.s.life.ctx, r.s.e, netdial.CauseHandshake, r.s.stream.Path())
	default:
		sp.stream, sp.err = r.s.l.dialer.OpenOn(r.s.life.ctx, r.s.e, netdial.CauseHandshake, netdial.Path{Interface: m.iface})
	}
	return sp
}

// unreadable reports that the password cannot be read: then the old session is kept.
func (r *redialing) unreadable(sp *standby) bool {
	_, sp.err = r.s.e.ReadPassword()
	return sp.err != nil
}

// prepared is called with the result of prepare.
func (r *redialing) prepared(sp standby, now time.Time) {
	r.preparing, r.s.route.lookAt = false, now.Add(lookAgain) // what changed meanwhile was not acted on
	if sp.err == nil {
		r.next, r.nextBy = &sp, now.Add(quietWithin)
		return
	}
	r.s.guarded.Lock()
	failed := *r.s.guarded.requested
	r.s.guarded.requested = nil
	r.s.guarded.Unlock()
	if failed.failed != nil {
		failed.failed <- sp.err // which waits for nobody
	}
	switch {
	case failed.to != r.s.i:
		r.s.l.health.notBack(failed.to, sp.err, r.s.info.Number, now)
	case failed.iface != "":
		r.s.l.dialer.Interfaces.Cooldown.Fail(failed.iface, now)
		r.s.route.look(now)
	case failed.now: // the look decides
	case failed.missing: // the next one comes when its time does
	case failed.asked: // who asked knows, and may ask again
	case !failed.samePath:
		r.renewAt = now.Add(renewRetry)
	} // else the learner asks again
}

// consider looks for a reason to re-dial: a better server that may be back, or a session that has lasted for its time.
func (r *redialing) consider(now time.Time) {
	if _, wanted := r.requested(); !r.s.up.is || wanted {
		return
	}
	if !r.s.route.lookAt.IsZero() && !now.Before(r.s.route.lookAt) {
		r.s.route.lookAt = time.Time{}
		r.s.route.look(now)
	}
	if at := r.returnAt(); !at.IsZero() && !now.Before(at) {
		to, _, _ := r.s.l.backoff.Better(r.s.i)
		r.request(redial{to: to})
	} else if !r.s.route.at.IsZero() && !now.Before(r.s.route.at) {
		r.s.route.at = time.Time{}
		if name, _ := r.s.l.dialer.Interfaces.Better(r.s.stream.Bound); name != "" {
			r.request(redial{to: r.s.i, iface: name})
		}
	} else if !r.renewAt.IsZero() && !now.Before(r.renewAt) {
		r.renewAt = time.Time{}
		r.request(redial{to: r.s.i})
	}
}

// returnAt is when a better server is asked whether it is back; zero: there is none. A fleet that was thrown off together does
// not return together.
func (r *redialing) returnAt() time.Time {
	_, at, ok := r.s.l.backoff.Better(r.s.i)
	if !ok || !r.s.up.is {
		return time.Time{}
	}
	return heartbeat.Later(at, r.s.up.since.Add(holdDown*r.s.l.o.DetectWithin)).Add(r.spread)
}

// due is when consider must be called next, or the prepared connection must be used; zero: nothing is to come. guarded is held.
func (r *redialing) due() time.Time {
	if !r.s.up.is || r.s.guarded.requested != nil {
		return r.nextBy
	}
	at := r.returnAt()
	for _, other := range []time.Time{r.renewAt, r.s.route.at, r.s.route.lookAt} {
		if !other.IsZero() && (at.IsZero() || other.Before(at)) {
			at = other
		}
	}
	return at
}

// candidate opens a session at server i while the present one goes on. Only its birth is held back: that is published when the
// candidate takes over. stableFor is that of newSession.
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
	l.health.mu.Lock()
	info := Session{Number: l.health.status.Sessions + 1, Server: e.Name, Since: time.Now()}
	l.health.mu.Unlock()
	s := l.newSession(stream, i, info, stableFor, password, true)
	s.state.held = true
	s.begin()
	timer := time.NewTimer(l.dialer.HandshakeTime())
	defer timer.Stop()
	select {
	case <-s.library.done:
		return s, nil
	case <-s.life.ended:
		now := time.Now()
		v, _ := s.verdict(now)
		err = s.guarded.cause
		l.terms.ended(s, v, now)
	case <-timer.C:
		err = errors.New(s.setupTimeout())
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.abandon()
	return nil, err
}

// take returns the prepared connection after a session ended as v, and the verdict with it; where v leaves no use for it, it is
// closed and nil. Servers of one cluster close the old session of an id as soon as the new one is there, so that the old one may
// end before the new one is known to be up: take waits for that.
func (r *redialing) take(v faults.Verdict) (*standby, faults.Verdict) {
	m, wanted := r.requested()
	if r.preparing && wanted && m.to != r.s.i && v.Kind == faults.OutcomeClosed {
		timer := time.NewTimer(clusterTime)
		defer timer.Stop()
		select {
		case sp := <-r.results:
			r.preparing, r.next = false, &sp
		case <-timer.C:
		}
	}
	r.s.life.cancel()
	if r.preparing {
		sp := <-r.results // soon: it was cancelled
		r.next = &sp
	}
	switch {
	case r.next == nil:
		return nil, v
	case r.next.err != nil:
		return nil, v
	case v.Kind == faults.OutcomePlanned:
	case r.next.session != nil && v.Kind != faults.OutcomeStopped && !r.next.ended():
		v = faults.Verdict{Kind: faults.OutcomePlanned, Up: true}
	default:
		r.next.close()
		return nil, v
	}
	return r.next, v
}

// ended reports that the prepared session ended before it was used.
func (sp *standby) ended() bool {
	if sp.session == nil {
		return false
	}
	select {
	case <-sp.session.life.ended:
		return true
	default:
		return false
	}
}
