package transport

import (
	"bytes"
	"slices"
	"strings"
	"sync"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// route is a filter with its handler.
type route struct {
	filter string
	cause  Cause
	handle Handler
}

// Handle subscribes to filter with QoS 1 in each session and calls h for what arrives. It must be called before Run. Its bytes
// are booked as commands.
func (l *Link) Handle(filter string, h Handler) { l.HandleAs(CauseCmd, filter, h) }

// HandleAs is Handle with another cause for the ledger.
func (l *Link) HandleAs(c Cause, filter string, h Handler) {
	l.routes = append(l.routes, route{filter: filter, cause: c, handle: h})
}

// filters are what a session subscribes to: the state topic first.
func (l *Link) filters() []string {
	var all []string
	if l.o.StateTopic != "" {
		all = append(all, l.o.StateTopic)
	}
	for _, r := range l.routes {
		if !slices.Contains(all, r.filter) {
			all = append(all, r.filter)
		}
	}
	return all
}

// causeOf is what a message that came in is booked under.
func (l *Link) causeOf(topic string) Cause {
	for _, r := range l.routes {
		if matches(r.filter, topic) {
			return r.cause
		}
	}
	if topic == l.o.StateTopic {
		return netdial.CauseHandshake
	}
	return CauseRefused // nobody asked for it: an earlier subscription, or a server's own idea
}

// Refuse books n bytes of a message that its handler was given, or of the answer to it, as refused: it was no command, or none
// that may be carried out.
func (l *Link) Refuse(n int) { l.dialer.Counter.Refuse(CauseCmd, n) }

// pubackSize is what an acknowledgement takes, in bytes (section 3.4).
const pubackSize = 4

// sizeOf is what a message that came in costs, with our acknowledgement.
func sizeOf(m mqtt.Message) int {
	size := codec.PublishSize(m.Topic(), len(m.Payload()), m.Qos())
	if m.Qos() > 0 {
		size += pubackSize
	}
	return size
}

// dispatch is called by the library, in order, for everything that came in; what no handler wants is acknowledged all the same,
// or a server would send it again and again.
func (l *Link) dispatch(s *session, m mqtt.Message) {
	size := sizeOf(m)
	if m.Topic() == l.o.StateTopic {
		select {
		case s.state.seen <- seenState{payload: bytes.Clone(m.Payload()), retained: m.Retained(), size: size}:
		default: // the loop has enough of them: so many are not ours
			l.dialer.Counter.Refuse(netdial.CauseHandshake, size)
		}
	}
	for _, r := range l.routes {
		if matches(r.filter, m.Topic()) {
			r.handle(Message{Topic: m.Topic(), Payload: bytes.Clone(m.Payload()), QoS: m.Qos(), Retain: m.Retained(),
				Dup: m.Duplicate(), Cause: r.cause, Size: size}, m.Retained())
		}
	}
}

// matches reports whether a filter takes a topic (section 4.7); of a shared subscription, its filter.
func matches(filter, topic string) bool {
	if shared, ok := strings.CutPrefix(filter, "$share/"); ok {
		_, filter, _ = strings.Cut(shared, "/")
	}
	if strings.HasPrefix(topic, "$") && !strings.HasPrefix(filter, "$") { // [MQTT-4.7.2-1]
		return false
	}
	for {
		f, filterRest, filterMore := strings.Cut(filter, "/")
		t, topicRest, topicMore := strings.Cut(topic, "/")
		switch {
		case f == "#":
			return true
		case f != "+" && f != t:
			return false
		case !filterMore && !topicMore:
			return true
		case filterMore && !topicMore:
			return filterRest == "#" // "a/#" takes "a" [MQTT-4.7.1-2]
		case !filterMore:
			return false
		}
		filter, topic = filterRest, topicRest
	}
}

// muting says whether commands are listened to. What a server sends cannot be stopped while there is a subscription: who pays
// for each byte must be able to let go of it. The zero value listens; safe for concurrent use.
type muting struct {
	mu      sync.Mutex
	on      bool
	changed chan struct{} // closed when on changes; nil: nobody waits
}

// Mute drops the subscriptions of Handle, now and in each session to come, or brings them back. What the server was about to send
// may still arrive [MQTT-3.10.4-2], and retained messages come again with each subscription.
func (l *Link) Mute(on bool) {
	l.mute.mu.Lock()
	defer l.mute.mu.Unlock()
	if l.mute.on == on {
		return
	}
	l.mute.on = on
	l.learner.Mute(on)
	if l.mute.changed != nil {
		close(l.mute.changed)
		l.mute.changed = nil
	}
}

// get returns whether commands are not listened to, and a channel that is closed when that changes.
func (m *muting) get() (on bool, changed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.changed == nil {
		m.changed = make(chan struct{})
	}
	return m.on, m.changed
}

// mutable are the filters that Mute is about: those where strangers may publish.
func (l *Link) mutable() (all []string) {
	for _, r := range l.routes {
		if (r.cause == CauseCmd || r.cause == CauseProbe) && !slices.Contains(all, r.filter) {
			all = append(all, r.filter)
		}
	}
	return all
}
