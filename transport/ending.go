package transport

import (
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
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
