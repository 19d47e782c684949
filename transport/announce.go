package transport

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	announceMin  = 5 * time.Second
	announceMax  = 5 * time.Minute
	stateBacklog = 8 // payloads of the state topic that wait for the loop
	stateQoS     = 1
)

// announcer keeps our state on the state topic; of the loop.
type announcer struct {
	s      *session
	seen   chan seenState // what others said there
	birth  []byte
	told   telling       // of the birth
	held   bool          // until the session takes over from another one
	before chan struct{} // where held: closed when the session before it has published its offline state
	at     time.Time     // when the birth is announced again; zero: it need not
	gap    time.Duration // to the next time
}

// seenState is a payload of the state topic.
type seenState struct {
	payload  []byte
	retained bool
	size     int // bytes of its packet, and of our acknowledgement
}

// telling is what became of a birth: who wants to know whether the server delivers it waits for both. Safe for concurrent use.
type telling struct {
	heard chan struct{} // closed when it came back to us
	once  sync.Once
	sent  chan struct{} // closed when ack is set
	ack   *Ack
}

func newTelling() telling { return telling{heard: make(chan struct{}), sent: make(chan struct{})} }

// is is called with the birth that was queued, once.
func (t *telling) is(a *Ack) {
	t.ack = a
	close(t.sent)
}

// trimmed is a payload of the state topic without the white space that a trial puts behind a birth: it says the same.
func trimmed(payload []byte) []byte { return bytes.TrimRight(payload, " \t") }

// saw is called with what came in on the state topic. A payload other than our birth has overwritten it: the late will of an
// older session of ours, or another client with our id. Then the birth is announced again, until it is seen there. What was
// retained before our birth came is history and does not count.
func (an *announcer) saw(st seenState, now time.Time) {
	if bytes.Equal(st.payload, an.birth) {
		an.told.once.Do(func() { close(an.told.heard) })
	} else if st.payload = trimmed(st.payload); bytes.Equal(st.payload, an.birth) {
		return // of a trial, which is not what is retained there
	}
	if an.s.redial.preparing || an.s.redial.next != nil { // it may be the next one's
		return
	}
	if bytes.Equal(st.payload, an.birth) {
		an.at = time.Time{}
		return
	}
	if an.s.l.health.stateSeen(an.s, st) {
		an.s.l.dialer.Counter.Refuse(netdial.CauseHandshake, st.size)
		an.s.up.calmSince, an.s.up.stable = now, false
	}
	if st.retained || !an.at.IsZero() {
		return
	}
	an.at = now
	if !an.s.up.is || an.gap > announceMin { // our birth is about to be sent, or it was announced again already
		an.at = now.Add(an.gap)
	}
}

// announce publishes the birth again; never more often than announceMin, and less and less often while it does not last.
func (an *announcer) announce(now time.Time) {
	an.at = time.Time{}
	an.gap = min(2*an.gap, announceMax)
	an.s.l.group.Go(func() { _, _ = an.s.window.send(an.s.life.ctx, an.message(an.birth)) })
	an.s.l.health.notify(EventAnnounced, an.s.e.Name, "our state was overwritten on "+an.s.l.o.StateTopic, an.s.info.Number, now)
}

// lateBirth announces a candidate after the session before it published its offline state: they may share the topic.
func (an *announcer) lateBirth() {
	select {
	case <-an.before:
	case <-an.s.life.ended:
		return
	case <-time.After(drainTime + offlineTime + goodbyeTime):
	}
	_ = an.sayOnline()
}

// sayOnline queues the birth for the first time.
func (an *announcer) sayOnline() error {
	a, err := an.s.window.send(an.s.life.ctx, an.message(an.birth))
	if err == nil {
		an.told.is(a)
	}
	return err
}

// sayOffline lets what is in flight arrive, then publishes the offline state.
func (an *announcer) sayOffline() {
	drain, cancel := context.WithTimeout(context.Background(), drainTime)
	an.s.window.drained(drain)
	cancel()
	if an.s.l.o.StateTopic == "" {
		return
	}
	a, err := an.s.window.queue(an.message(an.s.l.o.State(false, an.s.info)), nil)
	if err != nil {
		return
	}
	select {
	case <-a.Done():
	case <-an.s.life.ended:
	case <-time.After(offlineTime):
	}
}

func (an *announcer) message(payload []byte) Message {
	return Message{Topic: an.s.l.o.StateTopic, Payload: payload, QoS: stateQoS, Retain: true, Cause: netdial.CauseHandshake,
		use: useState}
}
