package transporttest

import (
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// The return codes of CONNACK [MQTT 3.1.1 table 3.1], for OnConnect.
const (
	Accepted           byte = 0
	BadVersion         byte = 1
	BadClientID        byte = 2
	ServerUnavailable  byte = 3
	BadCredentials     byte = 4
	NotAuthorised      byte = 5
	SubscriptionFailed byte = 0x80 // for OnSubscribe
	HangUpInstead      byte = 0xff // no CONNACK: the connection is closed
)

// Hooks of a Broker; nil means the friendly default. They run on the client's goroutine and may block.
type Hooks struct {
	OnConnect   func(Connect) byte                      // the CONNACK code; anything but Accepted closes
	OnSubscribe func(clientID, filter string) byte      // granted QoS, or SubscriptionFailed
	OnPublish   func(clientID string, m Message) Answer // what becomes of a client's publish
	// OnPuback sends the PUBACK of a publish: at once, later, from any goroutine, or never. A second call sends it again.
	OnPuback func(clientID string, m Message, send func())
	OnSuback func(clientID string) bool // whether a SUBSCRIBE or UNSUBSCRIBE is answered
	// a connection on which the client sent nothing for so long is closed, as some balancers do; zero: only as keepalive says
	Idle time.Duration
}

// Answer is what a broker does with a publish.
type Answer int

const (
	Take    Answer = iota // deliver it, acknowledge it
	Swallow               // acknowledge it, and let it vanish (mosquitto with an acl_file)
	Mute                  // deliver it, never acknowledge it
	Drop                  // neither deliver nor acknowledge it (a service that throttles)
	HangUp                // close the connection instead (EMQX with deny_action=disconnect)
)

// Broker is a small MQTT 3.1.1 broker, QoS 0 and 1, for tests: keepalive at 1.5 times what CONNECT says, takeover, wills,
// retained messages, sessions with queues. Its sessions and retained messages outlive Close, as with persistence. Safe for
// concurrent use.
type Broker struct {
	hooks Hooks

	mu        sync.Mutex
	sessions  map[string]*session // by client id
	retained  map[string]Message
	listeners map[net.Listener]struct{}
	conns     map[*client]struct{}
	frozen    chan struct{} // nil, or closed at the thaw
	connects  []Connect
	published []Message
	pings     map[string]int
	heard     map[string]time.Time
	wg        sync.WaitGroup
}

// NewBroker returns a broker that serves no client yet.
func NewBroker(h Hooks) *Broker {
	return &Broker{hooks: h, sessions: map[string]*session{}, retained: map[string]Message{}, pings: map[string]int{},
		heard: map[string]time.Time{}, listeners: map[net.Listener]struct{}{}, conns: map[*client]struct{}{}}
}

// Serve accepts clients in the background until l is closed or the broker is.
func (b *Broker) Serve(l net.Listener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.listeners[l] = struct{}{}
	b.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.serve(conn) })
		}
	})
}

// Close closes listeners and connections, publishes no will (a broker that stops does not) and waits. Serve may follow.
func (b *Broker) Close() {
	b.Thaw()
	b.mu.Lock()
	for l := range b.listeners {
		_ = l.Close()
		delete(b.listeners, l)
	}
	for c := range b.conns {
		c.willed = true
		_ = c.conn.Close()
	}
	b.mu.Unlock()
	b.wg.Wait()
}

// Freeze stops the broker as SIGSTOP would: connections stay and take bytes into their buffers, nothing is handled or sent.
func (b *Broker) Freeze() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.frozen == nil {
		b.frozen = make(chan struct{})
	}
}

// Thaw undoes Freeze.
func (b *Broker) Thaw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.frozen != nil {
		close(b.frozen)
		b.frozen = nil
	}
}

// gate waits while the broker is frozen and reports whether it was.
func (b *Broker) gate() bool {
	b.mu.Lock()
	frozen := b.frozen
	b.mu.Unlock()
	if frozen == nil {
		return false
	}
	<-frozen
	return true
}

// Kick closes the connection of a client id with a FIN, its will is published; false when it has none.
func (b *Broker) Kick(clientID string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.sessions[clientID]
	if s == nil || s.on == nil {
		return false
	}
	_ = s.on.conn.Close()
	return true
}

// Publish sends a message of the broker's own.
func (b *Broker) Publish(m Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.route(m)
}

// Retained returns the retained message of topic.
func (b *Broker) Retained(topic string) (m Message, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, ok = b.retained[topic]
	return m, ok
}

// Published returns what clients have published under topics that match filter, in order, duplicates included, and their
// wills.
func (b *Broker) Published(filter string) []Message {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.published), func(m Message) bool { return !matches(filter, m.Topic) })
}

// Connects returns every well-formed CONNECT so far, refused ones included.
func (b *Broker) Connects() []Connect {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.connects)
}

// Heard returns when a client id last sent something; zero: never.
func (b *Broker) Heard(clientID string) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard[clientID]
}

// Pings returns how many PINGREQs a client id has sent.
func (b *Broker) Pings(clientID string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pings[clientID]
}

// Online returns the client ids that are connected, sorted.
func (b *Broker) Online() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ids []string
	for id, s := range b.sessions {
		if s.on != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// route delivers m to every subscriber; mu is held.
func (b *Broker) route(m Message) {
	if m.Retain {
		if b.retained[m.Topic] = m; len(m.Payload) == 0 {
			delete(b.retained, m.Topic)
		}
	}
	m.Retain, m.Dup = false, false // [MQTT-3.3.1-9]
	for _, id := range slices.Sorted(maps.Keys(b.sessions)) {
		if qos, ok := b.sessions[id].wants(m.Topic); ok {
			b.sessions[id].deliver(m, qos)
		}
	}
}

// matches reports whether topic fits filter [MQTT 3.1.1 section 4.7].
func matches(filter, topic string) bool {
	f, t := strings.Split(filter, "/"), strings.Split(topic, "/")
	for i, level := range f {
		if level == "#" {
			return true
		}
		if i >= len(t) || level != "+" && level != t[i] {
			return false
		}
	}
	return len(f) == len(t)
}

// Subscribe adds a filter to the session of a client id, which must be there, as an earlier connection of it may have done.
func (b *Broker) Subscribe(clientID, filter string, qos byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions[clientID].topics[filter] = qos
}

// Owe lets the session of a client id, which must be there, have messages of QoS 2 that came to an earlier connection of it and
// were never released: at each CONNECT the broker says PUBREL for them, until it gets PUBCOMP.
func (b *Broker) Owe(clientID string, ids ...uint16) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sessions[clientID].releases = append(b.sessions[clientID].releases, ids...)
}

// Owed is how many of them are left.
func (b *Broker) Owed(clientID string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.sessions[clientID].releases)
}
