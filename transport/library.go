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
	"github.com/linkbeat/linkbeat/transport/internal/terms"
)

const (
	libraryTime    = time.Second         // after which a call of the library returns that its writer did not take up
	libraryTimeout = "broken by timeout" // how the library says that a packet was not taken up within libraryTime, and not sent
	subscribeQoS   = 1
)

// library is how a session uses the MQTT library: one client, one packet at a time.
type library struct {
	s      *session
	client mqtt.Client
	begun  bool
	done   chan struct{} // closed after subscriptions were answered and the birth queued
}

// options are the ones under which the library leaves pings, reconnecting, storing and deadlines to us.
func (li *library) options(password string) *mqtt.ClientOptions {
	o := mqtt.NewClientOptions().
		AddBroker("tcp://" + li.s.e.Addr). // only so that the list is not empty
		SetClientID(li.s.l.o.ClientID).
		SetUsername(li.s.e.Username).
		SetPassword(password).
		SetCleanSession(li.s.l.o.CleanSession).
		SetProtocolVersion(4). // else it tries 3.1 after each failure
		SetAutoReconnect(false).
		SetConnectRetry(false).
		SetKeepAlive(0). // no pings of its own; the conn patches CONNECT
		SetWriteTimeout(libraryTime).
		SetOrderMatters(true).
		SetStore(li.s.window).
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) { li.s.l.dispatch(li.s, m) }).
		SetConnectionLostHandler(func(_ mqtt.Client, err error) { _ = li.s.conn.fail(err) }).
		SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) { return li.s.conn, nil })
	if topic := li.s.l.o.StateTopic; topic != "" {
		li.s.state.birth = li.s.l.o.State(true, li.s.info)
		will := li.s.l.o.State(false, li.s.info)
		li.s.l.health.announced(li.s.state.birth, will)
		if li.s.asks.Has(terms.Will) {
			o.SetBinaryWill(topic, will, stateQoS, li.s.asks.Has(terms.WillRetain))
		}
	}
	return o
}

// setup connects, subscribes and queues the birth; then done is closed, and until the end it does what Mute says. Its deadline is
// kept by the loop.
func (li *library) setup() {
	connect := li.client.Connect()
	if !li.wait(connect) {
		return
	}
	if err := connect.Error(); err != nil {
		_ = li.s.conn.fail(err)
		return
	}
	muted, _ := li.s.l.mute.get()
	filters := li.s.l.filters()
	if muted {
		mutable := li.s.l.mutable()
		filters = slices.DeleteFunc(filters, func(f string) bool { return slices.Contains(mutable, f) })
	}
	if !li.subscribe(filters) || muted && !li.listen(false) { // which an earlier session may have left
		return
	}
	if li.s.l.o.StateTopic != "" {
		m := li.s.state.message(li.s.state.birth)
		if err := li.s.l.fits(m); err != nil {
			_ = li.s.conn.fail(&faults.Fault{Kind: faults.OutcomeRefused, Msg: "the birth message cannot be published", Err: err})
			return
		}
		if !li.s.state.held {
			if err := li.s.state.sayOnline(); err != nil {
				return
			}
		}
	}
	close(li.done)
	li.follow(muted)
}

// wait waits for t, and reports false when the session was lost before: then the library never completes it.
func (li *library) wait(t mqtt.Token) bool {
	select {
	case <-t.Done():
		return true
	case <-li.s.life.ended:
		return false
	}
}

// subscribe asks for filters, the state topic first, so that what it retains arrives before our birth.
func (li *library) subscribe(all []string) bool {
	var denied []string
	for rest := all; len(rest) > 0; {
		filters := rest[:min(len(rest), codec.MaxSubscribe)]
		rest = rest[len(filters):]
		codes, ok := li.subscribeTo(filters)
		if !ok {
			return false
		}
		for _, f := range filters {
			if codes[f] == codec.SubackFailure { // and the token has no error for it
				denied = append(denied, f)
			}
		}
	}
	li.s.l.health.denied(li.s, all, denied)
	return true
}

// subscribeTo asks for a few filters and waits for their codes.
func (li *library) subscribeTo(filters []string) (codes map[string]byte, ok bool) {
	request := map[string]byte{}
	for _, f := range filters {
		request[f] = subscribeQoS
	}
	for {
		t := li.client.SubscribeMultiple(request, nil)
		if !li.wait(t) {
			return nil, false
		}
		switch err := t.Error(); {
		case err == nil:
			return t.(*mqtt.SubscribeToken).Result(), true
		case !strings.Contains(err.Error(), libraryTimeout): // which is tried again until the loop has enough
			_ = li.s.conn.fail(fmt.Errorf("subscribe to %q: %w", filters, err))
			return nil, false
		}
	}
}

// follow subscribes and unsubscribes as Mute says, until the session ends. was is how it began.
func (li *library) follow(was bool) {
	for {
		on, changed := li.s.l.mute.get()
		if on != was {
			if was = on; !li.listen(!on) {
				return
			}
			continue
		}
		select {
		case <-changed:
		case <-li.s.life.ended:
			return
		}
	}
}

// listen asks for the mutable filters, or lets go of them; false: the session was lost.
func (li *library) listen(to bool) bool {
	filters := li.s.l.mutable()
	if len(filters) == 0 {
		return true
	}
	if to {
		return li.subscribe(filters)
	}
	for {
		t := li.client.Unsubscribe(filters...)
		if !li.wait(t) {
			return false
		}
		if err := t.Error(); err == nil || !strings.Contains(err.Error(), libraryTimeout) {
			return true // a server that does not let go of them has told it in no way
		}
		select {
		case <-li.s.life.ended:
			return false
		case <-time.After(libraryTime / 10):
		}
	}
}

// publish gives messages to the library one by one. It runs on its own goroutine, as the library may block: it takes a message
// only after the one before was written. Neither Send nor the loop may wait for that.
func (li *library) publish() {
	for {
		select {
		case a := <-li.s.window.out:
			li.handOver(a)
		case <-li.s.life.ended:
			return
		}
	}
}

// handOver gives a to the library until it takes it. While a write is stuck the library gives up each call after
// libraryTime; the message was not touched then, so it is given again.
func (li *library) handOver(a *Ack) {
	for li.s.window.offer(a) {
		t := li.client.Publish(a.m.Topic, a.m.QoS, a.m.Retain && li.s.asks.Has(terms.Retain), a.m.Payload)
		select {
		case <-li.s.life.ended:
			return
		case <-t.Done():
		default:
			return // taken, and not answered yet
		}
		if t.Error() == nil {
			return
		}
		select {
		case <-li.s.life.ended:
			return
		case <-time.After(libraryTime / 10):
		}
	}
}

// setupTimeout says which answer of the server is missing.
func (s *session) setupTimeout() string {
	s.guarded.Lock()
	defer s.guarded.Unlock()
	if s.guarded.accepted {
		return "server did not answer SUBSCRIBE in time"
	}
	return "server did not answer CONNECT in time"
}
