package transport

import (
	"context"
	"errors"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// The planned re-dial: to the same server, to another node behind the same name, by another interface, or to a better server. To
// the same server: a new connection up to TLS, DISCONNECT on the old one, which suppresses its will, CONNECT on the new one. To
// another server: a whole session there, before this one ends. Nothing is lost: it waits for a moment with nothing in flight.

const (
	clusterTime = 3 * time.Second // that a session which is about to be up at another node is waited for
	renewRetry  = time.Hour       // after one for max_session that failed
	lookAgain   = 2 * time.Second // after a re-dial that failed, at the ways out
	moveWithin  = 5 * time.Second // that what was prepared waits for a quiet moment

	holdDown     = 2   // detect_within: how long a session lasts before a better server is looked for
	returnSpread = 0.5 // of detect_within: how much later some look than others
	renewJitter  = 0.1 // of max_session
)

// redial is a wanted re-dial.
type redial struct {
	to  int    // server
	pin bool   // to the same address, on the same way out
	way string // by this interface; "": any
	now bool   // the path is about to go, or has: no quiet moment is waited for
}

// standby is what a planned re-dial goes on with: a connection up to TLS to the same server, or, to another one, a session that
// is up already.
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
	next      *standby      // that it goes on with; nil: nothing is ready
	nextBy    time.Time     // at the latest, however busy the session is
	renewAt   time.Time     // max_session; zero: never
	spread    time.Duration // that it looks later than others for a better server
}

// want asks for a re-dial; one that is wanted already goes first.
func (r *redialing) want(m redial) {
	r.s.guarded.Lock()
	defer r.s.guarded.Unlock()
	if r.s.guarded.wanted == nil || m.now && !r.s.guarded.wanted.now && !r.preparing && r.next == nil {
		r.s.guarded.wanted = &m
	}
	r.s.life.wakeUp()
}

// wish is the re-dial that is wanted; false: none is.
func (r *redialing) wish() (redial, bool) {
	r.s.guarded.Lock()
	defer r.s.guarded.Unlock()
	if r.s.guarded.wanted == nil {
		return redial{}, false
	}
	return *r.s.guarded.wanted, true
}

// ready prepares a wanted re-dial, and reports that it is ready and the moment quiet; or that it was ready for too long.
func (r *redialing) ready(now time.Time) bool {
	r.s.guarded.Lock()
	wanted, late, calm := r.s.guarded.wanted, r.s.guarded.late, !r.s.guarded.late && r.s.guarded.asked.IsZero()
	r.s.guarded.Unlock()
	if wanted == nil || !r.s.up.is {
		return false
	}
	if r.next != nil && r.next.over() {
		r.next.close()
		r.next = nil
		r.prepared(standby{to: wanted.to, err: faults.ErrEnded}, now)
		return false
	}
	if r.next != nil {
		return wanted.now || calm && r.s.window.inFlight() == 0 || !now.Before(r.nextBy)
	}
	if (!late || wanted.now) && !r.preparing {
		r.preparing = true
		stableFor := r.s.l.backoff.StableAfter(wanted.to)
		r.s.l.group.Go(func() { r.results <- r.prepare(*wanted, stableFor) })
	}
	return false
}

// prepare opens what a re-dial goes on with.
func (r *redialing) prepare(m redial, stableFor time.Duration) standby {
	sp := standby{to: m.to}
	switch {
	case m.to != r.s.i:
		sp.session, sp.err = r.s.l.candidate(r.s.life.ctx, m.to, stableFor)
	case r.unreadable(&sp):
	case m.pin:
		sp.stream, sp.err = r.s.l.dialer.OpenOn(r.s.life.ctx, r.s.e, netdial.CauseHandshake, r.s.stream.Path())
	default:
		sp.stream, sp.err = r.s.l.dialer.OpenOn(r.s.life.ctx, r.s.e, netdial.CauseHandshake, netdial.Path{Interface: m.way})
	}
	return sp
}

// unreadable reports that the password cannot be read, so that the old session had better stay.
func (r *redialing) unreadable(sp *standby) bool {
	_, sp.err = r.s.e.ReadPassword()
	return sp.err != nil
}

// prepared is called with the result of prepare.
func (r *redialing) prepared(sp standby, now time.Time) {
	r.preparing, r.s.route.lookAt = false, now.Add(lookAgain) // what changed meanwhile was not acted on
	if sp.err == nil {
		r.next, r.nextBy = &sp, now.Add(moveWithin)
		return
	}
	r.s.guarded.Lock()
	failed := *r.s.guarded.wanted
	r.s.guarded.wanted = nil
	r.s.guarded.Unlock()
	switch {
	case failed.to != r.s.i:
		r.s.l.health.notBack(failed.to, sp.err, r.s.info.Number, now)
	case failed.way != "":
		r.s.l.dialer.Interfaces.Cooldown.Fail(failed.way, now)
		r.s.route.look(now)
	case failed.now: // the look decides
	case !failed.pin:
		r.renewAt = now.Add(renewRetry)
	} // else the learner asks again
}

// consider looks for a reason to re-dial: a better server that may be back, or a session that has lasted for its time.
func (r *redialing) consider(now time.Time) {
	if _, wanted := r.wish(); !r.s.up.is || wanted {
		return
	}
	if !r.s.route.lookAt.IsZero() && !now.Before(r.s.route.lookAt) {
		r.s.route.lookAt = time.Time{}
		r.s.route.look(now)
	}
	if at := r.returnAt(); !at.IsZero() && !now.Before(at) {
		to, _, _ := r.s.l.backoff.Better(r.s.i)
		r.want(redial{to: to})
	} else if !r.s.route.at.IsZero() && !now.Before(r.s.route.at) {
		r.s.route.at = time.Time{}
		if name, _ := r.s.l.dialer.Interfaces.Better(r.s.stream.Bound); name != "" {
			r.want(redial{to: r.s.i, way: name})
		}
	} else if !r.renewAt.IsZero() && !now.Before(r.renewAt) {
		r.renewAt = time.Time{}
		r.want(redial{to: r.s.i})
	}
}

// returnAt is when a better server is asked whether it is back; zero: there is none. A fleet that was thrown off together does
// not return together.
func (r *redialing) returnAt() time.Time {
	_, at, ok := r.s.l.backoff.Better(r.s.i)
	if !ok || !r.s.up.is {
		return time.Time{}
	}
	return later(at, r.s.up.since.Add(holdDown*r.s.l.o.DetectWithin)).Add(r.spread)
}

// due is when consider must be called next, or what was prepared is gone on with; zero: nothing is to come. guarded is held.
func (r *redialing) due() time.Time {
	if !r.s.up.is || r.s.guarded.wanted != nil {
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
	case <-s.life.lost:
		err = s.guarded.cause
	case <-timer.C:
		err = errors.New(s.setupSilence())
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.abandon()
	return nil, err
}

// take hands on what was prepared, or closes it when the session ended otherwise. A session at another server that is about to
// be up is waited for: servers of one cluster close the old session of an id as soon as the new one is there.
func (r *redialing) take(v faults.Verdict) (*standby, faults.Verdict) {
	m, wanted := r.wish()
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
	case r.next.session != nil && v.Kind != faults.OutcomeStopped && !r.next.over():
		v = faults.Verdict{Kind: faults.OutcomePlanned, Up: true}
	default:
		r.next.close()
		return nil, v
	}
	return r.next, v
}

// over reports that the prepared session was lost before it was needed.
func (sp *standby) over() bool {
	if sp.session == nil {
		return false
	}
	select {
	case <-sp.session.life.lost:
		return true
	default:
		return false
	}
}
