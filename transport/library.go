package transport

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/faults"
)

// libraryTimeout is how the library says that a packet was not taken up within libraryTime, and not sent.
const libraryTimeout = "broken by timeout"

// clientOptions are the ones under which the library leaves pings, reconnecting, storing and deadlines to us.
func (s *session) clientOptions(password string) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().
		AddBroker("tcp://" + s.e.Addr). // only so that the list is not empty
		SetClientID(s.l.o.ClientID).
		SetUsername(s.e.Username).
		SetPassword(password).
		SetCleanSession(s.l.o.CleanSession).
		SetProtocolVersion(4). // else it tries 3.1 after each failure
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetKeepAlive(0). // no pings of its own; the conn patches CONNECT
		SetWriteTimeout(libraryTime).
		SetOrderMatters(true).
		SetStore(s.flight).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { s.l.dispatch(s, m) }).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { _ = s.conn.fail(err) }).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return s.conn, nil })
	if topic := s.l.o.StateTopic; topic != "" {
		s.birth = s.l.o.State(true, s.info)
		will := s.l.o.State(false, s.info)
		s.l.announced(s.birth, will)
		o.SetBinaryWill(topic, will, stateQoS, true)
	}
	return o
}

// setup connects, subscribes and queues the birth; then done is closed. Its deadline is kept by the loop.
func (s *session) setup() {
	connect := s.client.Connect()
	if !s.wait(connect) {
		return
	}
	if err := connect.Error(); err != nil {
		_ = s.conn.fail(err)
		return
	}
	if !s.subscribe() {
		return
	}
	if s.l.o.StateTopic != "" {
		m := s.stateMessage(s.birth)
		if err := s.l.fits(m); err != nil {
			_ = s.conn.fail(&faults.Fault{Kind: faults.OutcomeRefused, Msg: "own state", Err: err})
			return
		}
		if s.candidate {
			close(s.done)
			return
		}
		if _, err := s.flight.send(s.ctx, m); err != nil {
			return
		}
	}
	close(s.done)
}

// wait waits for t, and reports false when the session was lost before: then the library never completes it.
func (s *session) wait(t mqtt.Token) bool {
	select {
	case <-t.Done():
		return true
	case <-s.lost:
		return false
	}
}

// subscribe asks for all filters, the state topic first, so that what it retains arrives before our birth.
func (s *session) subscribe() bool {
	var denied []string
	for filters := range slices.Chunk(s.l.filters(), codec.MaxSubscribe) {
		codes, ok := s.subscribeTo(filters)
		if !ok {
			return false
		}
		for _, f := range filters {
			if codes[f] == codec.SubackFailure { // and the token has no error for it
				denied = append(denied, f)
			}
		}
	}
	s.l.denied(s, denied)
	return true
}

// subscribeTo asks for a few filters and waits for their codes.
func (s *session) subscribeTo(filters []string) (codes map[string]byte, ok bool) {
	want := map[string]byte{}
	for _, f := range filters {
		want[f] = subscribeQoS
	}
	for {
		t := s.client.SubscribeMultiple(want, nil)
		if !s.wait(t) {
			return nil, false
		}
		switch err := t.Error(); {
		case err == nil:
			return t.(*mqtt.SubscribeToken).Result(), true
		case !strings.Contains(err.Error(), libraryTimeout): // which is tried again until the loop has enough
			_ = s.conn.fail(fmt.Errorf("subscribe to %q: %w", filters, err))
			return nil, false
		}
	}
}

// publisher hands messages to the library one by one. The library takes each only while the one before is being written, and
// may keep us waiting: so this is no part of Send, and none of the loop.
func (s *session) publisher() {
	for {
		select {
		case a := <-s.flight.out:
			s.handOver(a)
		case <-s.lost:
			return
		}
	}
}

// handOver gives a to the library until it takes it. While a write is stuck the library gives up each call after
// libraryTime; the message was not touched then, so it is given again.
func (s *session) handOver(a *Ack) {
	for s.flight.hand(a) {
		t := s.client.Publish(a.m.Topic, a.m.QoS, a.m.Retain, a.m.Payload)
		select {
		case <-s.lost:
			return
		case <-t.Done():
		default:
			return // taken, and not answered yet
		}
		if t.Error() == nil {
			return
		}
		select {
		case <-s.lost:
			return
		case <-time.After(libraryTime / 10):
		}
	}
}
