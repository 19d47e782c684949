package transport

import (
	"context"
	"time"

	"github.com/linkbeat/linkbeat/transport/internal/learn"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// mainLink is a session as the learner sees it.
type mainLink struct{ s *session }

var _ learn.MainLink = mainLink{}

// Endpoint is the server of the session.
func (m mainLink) Endpoint() *netdial.Endpoint { return m.s.e }

// Path is the path of the session, for a probe to share.
func (m mainLink) Path() netdial.Path { return m.s.stream.Path() }

// Keepalive is what CONNECT said.
func (m mainLink) Keepalive() time.Duration { return m.s.keepalive }

// Planned reports whether the session replaced another one on purpose.
func (m mainLink) Planned() bool { return m.s.planned }

// Ended is closed at the end of the session.
func (m mainLink) Ended() <-chan struct{} { return m.s.life.ended }

// Ping sends a PINGREQ beside those of the beat.
func (m mainLink) Ping() { m.s.conn.ping() }

// Redial asks for a planned re-dial on the same path.
func (m mainLink) Redial() { m.s.redial.request(redial{to: m.s.i, samePath: true}) }

// SetInterval changes the beat, at once.
func (m mainLink) SetInterval(d time.Duration) {
	s := m.s
	s.guarded.Lock()
	defer s.guarded.Unlock()
	s.guarded.beat.SetInterval(min(d, s.keepalive))
	s.life.wakeUp()
}

// SilentSince is when the session last sent something.
func (m mainLink) SilentSince() time.Time {
	m.s.guarded.Lock()
	defer m.s.guarded.Unlock()
	return m.s.guarded.beat.Silent()
}

// HeardSince reports whether anything came in at t or since.
func (m mainLink) HeardSince(t time.Time) bool {
	m.s.guarded.Lock()
	defer m.s.guarded.Unlock()
	return !m.s.guarded.heard.Before(t)
}

// Rearmed is called after our kernel acknowledged something that came in; ping: and the server wants to hear of us soon.
func (m mainLink) Rearmed(ping bool) {
	s, now := m.s, time.Now()
	s.guarded.Lock()
	defer s.guarded.Unlock()
	if s.guarded.beat.Rearmed(now); ping {
		s.guarded.beat.Sent(now)
		s.guarded.noteUnanswered(now, true)
		s.conn.ping()
	}
	s.life.wakeUp()
}

// Publish sends a nonce in the session's window.
func (m mainLink) Publish(ctx context.Context, topic string, payload []byte) (learn.Acknowledgement, error) {
	a, err := m.s.window.send(ctx, Message{Topic: topic, Payload: payload, QoS: 1, Cause: CauseProbe, use: useOnce})
	if err != nil {
		return nil, err
	}
	return a, nil
}
