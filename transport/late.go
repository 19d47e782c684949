package transport

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	checkSpare = time.Second
)

// lateness follows the beat's opinion. Late is not dead: the beat pings again by itself, we say so, and a fresh connection to
// the same server asks whether it is the path or only our mapping.
func (s *session) lateness(now time.Time) {
	s.mu.Lock()
	late, was, asked := s.isUp && s.beat.Late(now), s.isLate, s.asked
	s.isLate = late
	s.mu.Unlock()
	switch {
	case late && !was:
		s.l.late(s, asked)
	case !late && was:
		s.l.late(s, time.Time{})
		s.answered, s.checkAfter = time.Time{}, now.Add(s.l.o.DetectWithin)
	}
	if !late {
		return
	}
	if s.answered.IsZero() {
		s.check(now)
	} else if !now.Before(s.verdictAt()) {
		s.condemn(now)
	}
}

// check asks the server over a fresh connection, one at a time.
func (s *session) check(now time.Time) {
	if s.checking || now.Before(s.checkAfter) {
		return
	}
	s.checking, s.checkAfter = true, now.Add(netdial.RTOMax(s.l.o.DetectWithin))
	s.l.group.Go(func() { s.checks <- s.l.checkServer(s.ctx, s.e, s.stream.Path()) })
}

// checked is called with the result of check.
func (s *session) checked(err error, now time.Time) {
	s.checking = false
	s.mu.Lock()
	late := s.isLate
	s.mu.Unlock()
	if err == nil && late {
		s.answered = now
		s.conn.ping() // the old one gets another chance, and time for it
	}
}

// verdictAt is when the old connection has had its chance after a fresh one answered: time for the kernel's next
// retransmission and an answer. So an outage that just ended, which lets the fresh one through first, costs no reconnect. A
// kernel that does not bound its retransmission timer may be as silent as it has been already.
func (s *session) verdictAt() time.Time {
	chance := netdial.RTOMax(s.l.o.DetectWithin)
	if !s.stream.RTOMax && !s.asked.IsZero() {
		chance = max(chance, s.answered.Sub(s.asked))
	}
	return s.answered.Add(chance + checkSpare)
}

// condemn ends a session whose server answers others and not us, unless its TCP is still getting our bytes across: then it is
// only slow, say behind a queue of our own data.
func (s *session) condemn(now time.Time) {
	if netdial.Draining(s.stream.Raw.Conn, now.Sub(s.answered)) {
		s.answered, s.checkAfter = time.Time{}, now.Add(s.l.o.DetectWithin/2)
		return
	}
	_ = s.conn.fail(&faults.Fault{Kind: faults.OutcomeLost, Msg: "connection forgotten on the way: a fresh one was answered while this one stayed silent"})
}

// silent says what it means that nobody answered for DetectWithin. A server whose kernel acknowledged all that we sent is
// reachable: its service is dead, or so busy that it is as good as dead.
func (s *session) silent() *faults.Fault {
	f := &faults.Fault{Kind: faults.OutcomeSilence, Loss: faults.LossSilence, Msg: fmt.Sprintf("no answer for %v", s.l.o.DetectWithin)}
	if netdial.Acknowledged(s.stream.Raw.Conn) {
		f.Loss, f.Msg = faults.LossService, f.Msg+", though its TCP acknowledges: the service does not run, or is overloaded"
	}
	return f
}

// unacknowledged ends a session whose server answers pings and acknowledges no publish, unless our bytes are still on their way.
func (s *session) unacknowledged(now time.Time) {
	at := s.ackAt()
	if at.IsZero() || now.Before(at) {
		return
	}
	if netdial.Draining(s.stream.Raw.Conn, s.l.o.DetectWithin/2) {
		s.slow = now
		return
	}
	_ = s.conn.fail(&faults.Fault{Kind: faults.OutcomeSilence, Loss: faults.LossAck,
		Msg: fmt.Sprintf("no publish was acknowledged for %v, though the connection is alive", now.Sub(s.flight.unanswered()).Round(time.Millisecond))})
}

// ackAt is when the oldest publish will have waited for too long; zero: none waits.
func (s *session) ackAt() time.Time {
	since := s.flight.unanswered()
	if since.IsZero() {
		return since
	}
	if s.slow.After(since) {
		since = s.slow
	}
	return since.Add(s.l.o.DetectWithin)
}

// checkServer is nil when the server answers CONNECT on a fresh connection by the same path, with whatever code: what another way out
// can do says nothing about this one.
func (l *Link) checkServer(ctx context.Context, e *netdial.Endpoint, p netdial.Path) error {
	password, err := e.ReadPassword()
	if err != nil {
		return err
	}
	s, err := l.dialer.OpenOn(ctx, e, CauseProbe, p)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = s.Raw.Close() })
	defer func() { stop(); _ = s.Raw.Close() }()
	_ = s.SetDeadline(time.Now().Add(l.dialer.HandshakeTime()))
	if err := codec.CheckConnect(l.o.ClientID, e.Username, password).Write(s); err != nil {
		return err
	}
	_, h, err := codec.ReadPacket(bufio.NewReader(s), l.o.MaxPacket, nil, func() {})
	if err != nil {
		return err
	}
	if h.Kind != codec.TypeConnack {
		return fmt.Errorf("packet of type %d instead of CONNACK", h.Kind)
	}
	return packets.NewControlPacket(packets.Disconnect).Write(s)
}
