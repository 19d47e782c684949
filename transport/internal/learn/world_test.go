package learn

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// world is a path that forgets, and a server behind it that answers probe sessions by hand: no broker, no link. Guarded by mu.
type world struct {
	*testing.T
	le     *Learner
	server *netdial.Endpoint
	main   *fakeMain // the session that is up

	mu        sync.Mutex
	opened    int                        // probe sessions so far
	limit     time.Duration              // of silence, after which the path forgets a probe session; 0: never
	strict    bool                       // what the client sends does not revive it
	dead      bool                       // an outage: nothing gets through
	slow      bool                       // the main link hears later than is waited for
	late      []func()                   // what the main link published meanwhile, and TCP gets across afterwards
	connack   func(clientID string) byte // nil: accepted
	swallow   bool                       // the server does not carry what probes publish
	hangUp    bool                       // it closes the main link when that publishes to a probe
	hung      int                        // how often it did
	listeners map[string]*listener       // by topic
	retained  []byte                     // what stands on each probe topic; nil: nothing
	twice     bool                       // what is published arrives twice
	replace   func() []byte              // what arrives instead of the main link's nonces; nil: they do
	hear      func(payload []byte)       // of the main link: what comes on its own probe topic; nil: nothing does
}

// listener is a probe session as the server has it.
type listener struct {
	conn      net.Conn
	heard     time.Time // last packet, either way
	forgotten bool
	gone      bool // the session has ended
}

// fakeMain is the main link. What it was asked for is written down; guarded by the world's mu.
type fakeMain struct {
	w         *world
	name      string
	keepalive time.Duration
	planned   bool
	lost      chan struct{}
	local     net.Addr

	sent      time.Time
	intervals []time.Duration
	pings     int
	redials   int
	rearmed   int
}

var _ MainLink = (*fakeMain)(nil)

func (m *fakeMain) Endpoint() *netdial.Endpoint { return m.w.server }

func (m *fakeMain) Path() netdial.Path { return netdial.Path{Local: m.local} }

func (m *fakeMain) Keepalive() time.Duration { return m.keepalive }

func (m *fakeMain) Planned() bool { return m.planned }

func (m *fakeMain) Ended() <-chan struct{} { return m.lost }

func (m *fakeMain) with(f func()) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	f()
}

func (m *fakeMain) SilentSince() (at time.Time) {
	m.with(func() { at = m.sent })
	return at
}

// HeardSince knows no silence but an outage: something came in just now.
func (m *fakeMain) HeardSince(time.Time) (heard bool) {
	m.with(func() { heard = !m.w.dead && !m.w.slow })
	return heard
}

func (m *fakeMain) Ping() { m.with(func() { m.pings++; m.sent = time.Now() }) }

func (m *fakeMain) SetInterval(d time.Duration) {
	m.with(func() { m.intervals = append(m.intervals, d) })
}

// told are the beats so far.
func (m *fakeMain) told() (all []time.Duration) {
	m.with(func() { all = slices.Clone(m.intervals) })
	return all
}

func (m *fakeMain) Redial() { m.with(func() { m.redials++ }) }

func (m *fakeMain) Rearmed(bool) { m.with(func() { m.rearmed++; m.sent = time.Now() }) }

func (m *fakeMain) Publish(_ context.Context, topic string, payload []byte) (Acknowledgement, error) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	a := make(fakeAck)
	m.sent = time.Now()
	if m.w.replace != nil {
		payload = m.w.replace()
	}
	arrive := func() { m.w.deliver(topic, payload); close(a) }
	if m.w.hangUp {
		m.w.hung++
		return a, nil
	}
	if m.w.dead {
		m.w.late = append(m.w.late, arrive)
	} else {
		arrive()
	}
	return a, nil
}

// fakeAck is closed with the PUBACK.
type fakeAck chan struct{}

func (a fakeAck) Done() <-chan struct{} { return a }

func (a fakeAck) Err() error { return nil }

// fakeMemory keeps everything in maps.
type fakeMemory struct {
	mu     sync.Mutex
	paths  map[string]heartbeat.Knowledge
	budget heartbeat.BudgetState
}

func (m *fakeMemory) Recall(path string) (heartbeat.Knowledge, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.paths[path]
	return k, ok
}

func (m *fakeMemory) Remember(path string, k heartbeat.Knowledge) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paths[path] = k
}

func (m *fakeMemory) Budget() heartbeat.BudgetState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.budget
}

func (m *fakeMemory) SaveBudget(b heartbeat.BudgetState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.budget = b
}

// options under which learning begins at once and money is no matter.
func options(mode heartbeat.Mode) Options {
	return Options{Mode: mode, Min: 20 * time.Second, Max: 19 * time.Minute,
		Topic:  func(n int) string { return fmt.Sprintf("probe/%d", n) },
		Budget: heartbeat.BudgetOptions{Month: 1 << 30}}.WithDefaults("gw")
}

// inWorld runs test in fake time, with a learner that runs and no session yet.
func inWorld(t *testing.T, w *world, o Options, test func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w.T, w.listeners = t, map[string]*listener{}
		var err error
		if w.server, err = netdial.NewEndpoint(netdial.Server{URL: "mqtt://server"}); err != nil {
			t.Fatal(err)
		}
		var group sync.WaitGroup
		dial := func(context.Context, string, string) (net.Conn, error) {
			client, server := transporttest.Pipe()
			w.change(func() { w.opened++ })
			group.Go(func() { w.serve(server) })
			return client, nil
		}
		w.le = New(o, Env{Interval: time.Minute, Keepalive: 1170 * time.Second, AdaptKeep: true, Go: group.Go,
			Dialer: netdial.New(netdial.Options{DetectWithin: 10 * time.Second, Dial: dial}),
			Rand:   func() float64 { return 0.5 }})
		ctx, cancel := context.WithCancel(t.Context())
		group.Go(func() { w.le.Run(ctx) })
		test(w)
		cancel()
		group.Wait()
	})
}

// up lets a session of the main link begin, as Begin says.
func (w *world) up(name string, planned bool) *fakeMain {
	m := &fakeMain{w: w, name: name, planned: planned, lost: make(chan struct{}), sent: time.Now()}
	_, m.keepalive = w.le.Begin(w.server, m.Path(), planned)
	w.main = m
	w.le.Up(m, time.Now())
	synctest.Wait()
	return m
}

// sleep lets d pass, and everything settle.
func (w *world) sleep(d time.Duration) { w.pass(d); synctest.Wait() }

// pass lets d pass, beside others.
func (w *world) pass(d time.Duration) { time.Sleep(d) }

// status is that of now.
func (w *world) status() Status {
	s, _ := w.le.Status()
	return s
}

// settled waits until nothing more is to be learnt.
func (w *world) settled(within time.Duration) Status {
	w.Helper()
	for start := time.Now(); time.Since(start) < within; w.sleep(time.Second) {
		if s := w.status(); s.Phase == "settled" {
			return s
		}
	}
	w.Fatalf("not settled within %v: %+v", within, w.status())
	return Status{}
}

// count reads one of the counters.
func (w *world) count(n *int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return *n
}

// change what the path or the server does.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// outage lets nothing through for d; what the main link published meanwhile arrives after it.
func (w *world) outage(d time.Duration) {
	w.change(func() { w.dead = true })
	w.sleep(d)
	w.change(func() {
		w.dead = false
		for _, arrive := range w.late {
			arrive()
		}
		w.late = nil
	})
	synctest.Wait()
}

// why checks what is said for people; empty: nothing may be.
func (w *world) why(want string) {
	w.Helper()
	if _, why := w.le.Status(); !strings.Contains(why, want) || (why == "") != (want == "") {
		w.Errorf("why is %q, want %q", why, want)
	}
}

// passes reports whether a packet gets through to or from a probe session, and that the path has seen it. mu is held.
func (w *world) passes(l *listener, inbound bool) bool {
	now := time.Now()
	if w.limit > 0 && now.Sub(l.heard) >= w.limit {
		l.forgotten = true
	}
	if w.dead || l.forgotten && (inbound || w.strict) {
		return false
	}
	l.forgotten, l.heard = false, now
	return true
}

// deliver hands a message to who subscribed to its topic. mu is held.
func (w *world) deliver(topic string, payload []byte) {
	l := w.listeners[topic]
	if l == nil || !w.passes(l, true) {
		return
	}
	p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	p.TopicName, p.Payload = topic, payload
	_ = p.Write(l.conn)
	if w.twice {
		_ = p.Write(l.conn)
	}
}

// serve is the server's side of one probe session.
func (w *world) serve(c net.Conn) {
	defer c.Close()
	l := &listener{conn: c, heard: time.Now()}
	defer w.change(func() { l.gone = true })
	for {
		p, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		w.mu.Lock()
		again := !w.passes(l, false) || w.answer(l, p)
		w.mu.Unlock()
		if !again {
			return
		}
	}
}

// answer is what the server does about a packet; false: it hangs up. mu is held.
func (w *world) answer(l *listener, p packets.ControlPacket) bool {
	switch p := p.(type) {
	case *packets.ConnectPacket:
		ack := packets.NewControlPacket(packets.Connack).(*packets.ConnackPacket)
		if w.connack != nil {
			ack.ReturnCode = w.connack(p.ClientIdentifier)
		}
		_ = ack.Write(l.conn)
		return ack.ReturnCode == 0
	case *packets.SubscribePacket:
		w.listeners[p.Topics[0]] = l
		ack := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		ack.MessageID, ack.ReturnCodes = p.MessageID, []byte{0}
		_ = ack.Write(l.conn)
		if w.retained != nil {
			m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			m.TopicName, m.Payload, m.Retain = p.Topics[0], w.retained, true
			_ = m.Write(l.conn)
		}
	case *packets.PublishPacket:
		switch {
		case w.swallow:
		case w.hear != nil && p.TopicName == w.le.PairTopic():
			if w.hear(p.Payload); w.twice {
				w.hear(p.Payload)
			}
		default:
			w.deliver(p.TopicName, p.Payload)
		}
	case *packets.PingreqPacket:
		_ = packets.NewControlPacket(packets.Pingresp).Write(l.conn)
	case *packets.DisconnectPacket:
		return false
	}
	return true
}
