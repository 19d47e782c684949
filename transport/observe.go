package transport

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// The session as the observer of its conn: each method is called on a goroutine of the library or on the writer's, and
// returns without waiting for anything.

var _ observer = (*session)(nil)

// writing tells the beat before the packet goes out: an answer may be here before Write returns, and a write that is stuck
// counts as unanswered from its beginning.
func (s *session) writing(o codec.Outbound) Cause {
	now := time.Now()
	cause, owed := s.window.writing(o, now)
	s.guarded.Lock()
	defer s.guarded.Unlock()
	if s.guarded.accepted && o.Kind != codec.TypePuback {
		// which nothing answers: asking after it would cost a ping for each command
		s.guarded.beat.Owed(owed)
		s.guarded.beat.Sent(now)
		s.guarded.noteUnanswered(now, false)
		s.rearm()
	}
	return cause
}

// wrote books what went out; until CONNACK it is part of the handshake anyway.
func (s *session) wrote(o codec.Outbound, c Cause, n int, err error) {
	if o.Kind != codec.TypeConnect && s.stream.Raw.Up.Load() {
		s.l.dialer.Counter.Book(c, n)
	}
	if err == nil && o.Kind == codec.TypePublish && o.QoS == 0 {
		s.window.wrote()
	}
}

// arrived checks a packet before the library sees it, and books it.
func (s *session) arrived(h codec.Header, body []byte, buffered int) (known bool, cause Cause, err error) {
	cause = netdial.CauseHandshake
	if !s.isAccepted() {
		return true, cause, s.connack(body, buffered)
	}
	owed, known, asked := -1, true, true
	switch h.Kind {
	case codec.TypeConnack:
		return false, cause, faults.Nonsense("a second CONNACK")
	case codec.TypePingresp:
		cause, asked = netdial.CausePing, s.conn.pongAsked()
	case codec.TypePublish:
		topic, rest, _ := codec.CutString(body)
		cause = s.l.causeOf(string(topic))
		s.publishIn(h, rest, cause)
	case codec.TypePubrec, codec.TypePubrel, codec.TypePubcomp:
		earlier := false
		known = false // the conn answers: the library would take a PUBCOMP for the PUBACK of its own with this identifier
		if asked, earlier = s.resumed.May(h.Kind, codec.PacketID(body)); earlier {
			cause = CauseRefused
		}
	case codec.TypePuback, codec.TypeSuback, codec.TypeUnsuback:
		cause, owed, known, err = s.window.answer(h, body, time.Now())
		asked = known
	}
	if !asked {
		s.l.health.ignored.Add(1)
		cause, err = CauseRefused, s.unasked.Note(h.Kind, time.Now())
	}
	s.l.dialer.Counter.Book(cause, h.Total())
	s.listen(h.Kind, owed)
	return known, cause, err
}

// publishIn notes a PUBLISH whose topic was cut off, so that what it is acknowledged with is known and booked like it.
func (s *session) publishIn(h codec.Header, rest []byte, c Cause) {
	switch h.Flags >> 1 & 3 { // QoS
	case 1:
		s.window.received(codec.PacketID(rest), c)
	case 2:
		s.window.received(codec.PacketID(rest), c)
		s.resumed.Published(codec.PacketID(rest))
	}
}

// listen informs the beat of a packet that came in; owed is what is still to be acknowledged, or -1: as before.
func (s *session) listen(kind byte, owed int) {
	now := time.Now()
	s.guarded.Lock()
	defer s.guarded.Unlock()
	if owed >= 0 {
		s.guarded.beat.Owed(owed)
	}
	if kind == codec.TypePingresp {
		if !s.guarded.unansweredSince.IsZero() && s.guarded.unansweredBeat {
			s.guarded.survived = max(s.guarded.survived, s.guarded.quiet)
		}
		s.guarded.beat.PongHeard(now)
	} else {
		s.guarded.beat.Heard(now)
	}
	s.guarded.heard, s.guarded.unansweredSince = now, time.Time{}
	if owed > 0 {
		s.guarded.unansweredSince, s.guarded.unansweredBeat = now, false
	}
	if s.guarded.late {
		s.life.wakeUp() // it is late no longer
	}
	s.rearm()
}

// progress counts as heard: a long packet is coming in.
func (s *session) progress() { s.listen(codec.TypePublish, -1) }

func (s *session) isAccepted() bool {
	s.guarded.Lock()
	defer s.guarded.Unlock()
	return s.guarded.accepted
}

// connack looks whether the first packet, which is a CONNACK, accepts us.
func (s *session) connack(body []byte, buffered int) error {
	if code := body[1]; code != 0 {
		if code == faults.CodeIdentifier && s.l.o.AdaptKeep && s.e.LowerKeepalive(s.keepalive) {
			return &faults.Fault{Kind: faults.OutcomeLower, Msg: fmt.Sprintf("server may not take a keepalive of %v",
				s.keepalive)}
		}
		return faults.RefusedBy(code, s.l.o.ClientID)
	}
	now := time.Now()
	s.guarded.Lock()
	defer s.guarded.Unlock()
	s.guarded.accepted, s.guarded.heard = true, now
	s.stream.Raw.Accepted(buffered)
	s.guarded.beat.Connected(now)
	s.life.wakeUp()
	return nil
}

// ended is called by the conn, once, at its end.
func (s *session) ended(err error) {
	s.guarded.Lock()
	s.guarded.cause = err
	s.guarded.Unlock()
	close(s.life.ended)
}
