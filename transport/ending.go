package transport

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/internal/terms"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	drainTime    = 1200 * time.Millisecond // of the 2 s that an end in order may take: what is in flight
	offlineTime  = 400 * time.Millisecond  // online:false
	goodbyeTime  = 400 * time.Millisecond  // DISCONNECT, and the server's FIN
	forgotWithin = 5 * time.Second         // a fresh connection that was answered so soon after a beat: there was no outage
	hurry        = 4                       // times less patience, where the path is gone
)

// verdict says how a session ended that ended by itself.
func (s *session) verdict(now time.Time) (faults.Verdict, error) {
	s.guarded.Lock()
	defer s.guarded.Unlock()
	f := faults.Of(s.guarded.cause, now)
	v := faults.Verdict{Kind: f.Kind, Loss: f.Noticed(), Up: s.up.is}
	if s.up.is {
		v.Lasted, v.Silence, v.Survived = now.Sub(s.up.since), s.guarded.silence(now), s.guarded.survived
	}
	if f.Kind == faults.OutcomeSilence || f.Kind == faults.OutcomeMappingLost {
		v.Idle = s.guarded.unansweredBeat
		if s.up.is && !s.guarded.unansweredSince.IsZero() {
			s.l.health.detected(now.Sub(s.guarded.unansweredSince))
		}
	}
	// A reset that answers a beat comes from a NAT that forgot us, not from the server.
	if f.Kind == faults.OutcomeClosed && s.up.is && s.guarded.unansweredBeat && faults.IsReset(s.guarded.cause) {
		v.Kind, v.Loss, v.Idle = faults.OutcomeSilence, faults.LossMapping, true
	}
	answered := f.Kind == faults.OutcomeMappingLost && s.late.answered.Sub(s.guarded.unansweredSince) < forgotWithin
	reset := faults.IsReset(s.guarded.cause) && now.Sub(s.guarded.unansweredSince) < forgotWithin
	v.Forgotten = v.Idle && s.up.is && (answered || reset)
	if v.Kind == faults.OutcomeClosed && s.up.is {
		f = &faults.Fault{Kind: f.Kind, Err: f.Err, Msg: fmt.Sprintf("%s after %v", f.Msg, v.Lasted.Round(time.Millisecond))}
	}
	if v.Kind == faults.OutcomeClosed && !s.guarded.accepted {
		f = &faults.Fault{Kind: f.Kind, Err: f.Err, Msg: f.Msg + s.closedEarly()}
	}
	return v, f
}

// closedEarly is a hint for a server that closes before CONNACK. In TLS 1.3 the client's handshake is complete before the server
// has checked the client's certificate (RFC 8446, 4.4.2): a refusal arrives after CONNECT was written, and the RST that follows
// may overtake its alert. mosquitto with require_certificate, and a certificate of another authority, looks just so.
func (s *session) closedEarly() string {
	if s.e.Scheme.TLS {
		return " before it answered CONNECT: see its log; it may not accept our certificate"
	}
	return " before it answered CONNECT: see its log"
}

// shutdown ends the session in order: what is in flight gets a while, then online:false, DISCONNECT.
func (s *session) shutdown() {
	s.window.stop()
	s.l.health.detach(s)
	if s.isAccepted() { // also before it is up: the birth may be on its way
		s.state.sayOffline()
		s.l.group.Go(s.conn.goodbye) // which waits while a write is stuck
		select {
		case <-s.life.ended: // the server closed its half too
		case <-time.After(goodbyeTime):
		}
	}
	_ = s.conn.Close()
	s.window.fail(ErrStopped)
}

// endForNext ends this session in favour of the next. Where the next one is up at another server, this one publishes its offline
// state and disconnects in the background: clients of this server may not see the other one.
func (s *session) endForNext() {
	s.window.redialing.Store(true)
	s.window.stop()
	s.l.health.detach(s)
	if next := s.redial.next.session; next != nil {
		gone := make(chan struct{})
		next.state.before = gone
		s.l.group.Go(func() { defer close(gone); s.state.sayOffline(); s.leave() })
		return
	}
	patience := time.Duration(1)
	if m, _ := s.redial.requested(); m.now { // hardly anything gets through
		patience = hurry
	}
	drain, cancel := context.WithTimeout(context.Background(), drainTime/patience)
	s.window.drained(drain)
	cancel()
	s.leaveWithin(goodbyeTime / patience)
}

// leave says DISCONNECT and ends the session.
func (s *session) leave() { s.leaveWithin(goodbyeTime) }

func (s *session) leaveWithin(patience time.Duration) {
	s.l.group.Go(s.conn.goodbye)
	select {
	case <-s.life.ended:
	case <-time.After(patience):
	}
	_ = s.conn.Close()
	s.window.fail(ErrLost)
}

// abandon ends a prepared session that is not used.
func (s *session) abandon() {
	s.life.cancel()
	if s.isAccepted() {
		s.l.group.Go(s.conn.goodbye)
		select {
		case <-s.life.ended:
		case <-time.After(goodbyeTime):
		}
	}
	_ = s.conn.Close()
	s.window.fail(ErrStopped)
}

// granted is what each server takes, as a link sees it.
type granted struct {
	*terms.Book
	l *Link
}

// keepAt is the most that CONNECT says at server i where it does not take a long keepalive; 0: it takes any.
func (g granted) keepAt(gone terms.Set) time.Duration {
	switch {
	case gone.Has(terms.Keep):
		return heartbeat.LeastKeepalive
	case gone.Has(terms.LongKeep):
		return max(heartbeat.LeastKeepalive, (g.l.o.Keepalive / 2).Truncate(time.Second))
	}
	return 0
}

// capKeepalive lets the learner know what server i takes.
func (g granted) capKeepalive(i int) {
	if g.l.o.AdaptKeep {
		g.l.endpoints[i].CapKeepalive(g.keepAt(g.Gone(i)))
	}
}

// keepalive is what CONNECT says of a session that asks for asks: as the learner has it, but in a trial the longest there is.
func (g granted) keepalive(e *netdial.Endpoint, d time.Duration, asks terms.Set, trying bool) time.Duration {
	if !g.l.o.AdaptKeep || g.l.o.StateTopic == "" {
		return d
	}
	if trying && asks.Has(terms.Keep) {
		e.CapKeepalive(0)
		d = e.AllowedKeepalive(g.l.o.Keepalive)
	}
	if most := g.keepAt((terms.Keep | terms.LongKeep) &^ asks); most > 0 {
		d = min(d, most)
	}
	return d
}

// due is when lived must be called of s; zero: it need not.
func (g granted) due(s *session) time.Time {
	if !s.up.is {
		return time.Time{}
	}
	return g.Due(s.i, s.asks, s.up.since)
}

// lived is called when s has lived so long that it speaks for what it asked for.
func (g granted) lived(s *session, now time.Time) {
	redialed, changed := g.Lived(s.i, now, s.asks)
	g.capKeepalive(s.i)
	if changed {
		g.changed(s.i, s.info.Number, now)
	}
	if redialed {
		s.redial.request(redial{to: s.i, samePath: true})
	}
}

// ended is called after s ended by itself. It reports whether the next attempt, which asks for something else, shall be made at
// once.
func (g granted) ended(s *session, v faults.Verdict, now time.Time) bool {
	atOnce, changed := g.Ended(s.i, now, s.asks, g.way(s, v))
	g.capKeepalive(s.i)
	if changed {
		g.changed(s.i, s.info.Number, now)
	}
	return atOnce
}

// retaining reports that a retained message waits for its PUBACK. One that is missing did not end the session.
func (g granted) retaining(w *window) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.unacked, func(a *Ack) bool { return a.m.Retain && a.written && !a.acked && a.passed == 0 })
}

// way is how s ended, if that may be due to what it asked for.
func (g granted) way(s *session, v faults.Verdict) terms.Way {
	accepted, retaining := s.isAccepted(), g.retaining(s.window)
	switch {
	case g.l.health.sharesID():
		return terms.Other
	case v.Kind == faults.OutcomeRefused && !accepted:
		return terms.Refused
	case v.Kind != faults.OutcomeClosed:
		return terms.Other
	case !accepted:
		return terms.Early
	case retaining:
		return terms.AtRetain
	case v.Lasted < terms.Kicked:
		return terms.AtOnce
	}
	return terms.Other
}

// changed is called after it was found out what server i takes.
func (g granted) changed(i int, session int64, now time.Time) {
	why := g.Why(i)
	if why == "" {
		why = g.l.endpoints[i].Name + " is asked for everything again"
		if g.Gone(i) != 0 {
			why = g.l.endpoints[i].Name + " ends sessions that ask for a long keepalive: it is left out"
		}
	}
	g.l.health.notify(EventLeftOut, g.l.endpoints[i].Name, why, session, now)
}
