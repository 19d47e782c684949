package transport

import (
	"bytes"
	"slices"
	"strings"

	mqtt "github.com/eclipse/paho.mqtt.golang"

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
	return CauseCmd
}

// dispatch is called by the library, in order, for everything that came in; what no handler wants is acknowledged all the same,
// or a server would send it again and again.
func (l *Link) dispatch(s *session, m mqtt.Message) {
	if m.Topic() == l.o.StateTopic {
		select {
		case s.state.seen <- seenState{payload: bytes.Clone(m.Payload()), retained: m.Retained()}:
		default: // the loop has enough of them
		}
	}
	for _, r := range l.routes {
		if matches(r.filter, m.Topic()) {
			r.handle(Message{Topic: m.Topic(), Payload: bytes.Clone(m.Payload()), QoS: m.Qos(), Retain: m.Retained(),
				Dup: m.Duplicate(), Cause: r.cause}, m.Retained())
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
