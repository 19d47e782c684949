package transport

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

const (
	rigID    = "gw-1"
	rigState = "lb/gw-1/up/state"
	rigCmd   = "lb/gw-1/dn/#"
)

// rig is a link, its NAT and brokers "a:1883" and "b:1883", all in memory and in fake time.
type rig struct {
	*testing.T
	net    *transporttest.Network
	nat    *transporttest.NAT
	a, b   *transporttest.Broker
	link   *Link
	got    chan Message
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	events []Event
}

// rigOptions of inBubble.
type rigOptions struct {
	a, b  transporttest.Hooks
	nat   transporttest.NATOptions
	both  bool // the link knows b too
	tweak func(*Options)
	later bool // the test calls start
}

// inBubble runs test in fake time.
func inBubble(t *testing.T, o rigOptions, test func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		r := &rig{T: t, net: n, nat: transporttest.NewNAT(n, o.nat), got: make(chan Message, 1024),
			a: transporttest.NewBroker(o.a), b: transporttest.NewBroker(o.b), done: make(chan struct{})}
		r.serve(r.a, "a:1883")
		r.serve(r.b, "b:1883")
		options := Options{
			ClientID: rigID, Servers: []Server{{URL: "mqtt://a"}}, DetectWithin: 60 * time.Second, Interval: 60 * time.Second,
			StateTopic: rigState, State: stateOf, Dial: r.nat.Dial, Notify: r.note, Rand: func() float64 { return 0.5 },
		}
		if o.both {
			options.Servers = append(options.Servers, Server{URL: "mqtt://b"})
		}
		if o.tweak != nil {
			o.tweak(&options)
		}
		var err error
		if r.link, err = New(options); err != nil {
			t.Fatal(err)
		}
		r.link.Handle(rigCmd, func(m Message, _ bool) { r.got <- m })
		if !o.later {
			r.start()
		}
		defer n.Close()
		defer r.b.Close()
		defer r.a.Close()
		defer r.stop()
		test(r)
	})
}

// start runs the link.
func (r *rig) start() {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() {
		defer close(r.done)
		if err := r.link.Run(ctx); err != nil {
			r.Errorf("Run: %v", err)
		}
	}()
}

func (r *rig) stop() { r.cancel(); <-r.done }

func (r *rig) serve(b *transporttest.Broker, addr string) {
	l, err := r.net.Listen(addr)
	if err != nil {
		r.Fatal(err)
	}
	b.Serve(l)
}

func (r *rig) note(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	r.Logf("%s %+v", e.At.Format(time.TimeOnly), e)
}

// kinds are the events so far, "up down up".
func (r *rig) kinds() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, e := range r.events {
		all = append(all, string(e.Kind))
	}
	return strings.Join(all, " ")
}

func (r *rig) has(kind EventKind) bool {
	return slices.Contains(strings.Fields(r.kinds()), string(kind))
}

// sleep lets d pass, and everything settle.
func (r *rig) sleep(d time.Duration) { time.Sleep(d); synctest.Wait() }

// up waits until the link is.
func (r *rig) up(within time.Duration) {
	r.Helper()
	select {
	case <-r.link.Ready():
	case <-time.After(within):
		r.Fatalf("not up within %v: %+v", within, r.link.Status())
	}
	synctest.Wait()
}

// down waits until a session is lost, and says how long that took.
func (r *rig) down(within time.Duration) time.Duration {
	r.Helper()
	for start, drops := time.Now(), r.link.Status().Drops; time.Since(start) <= within; r.sleep(10 * time.Millisecond) {
		if r.link.Status().Drops > drops {
			return time.Since(start)
		}
	}
	r.Fatalf("still up after %v: %+v", within, r.link.Status())
	return 0
}

// why checks that Why says each of want.
func (r *rig) why(want ...string) {
	r.Helper()
	why := r.link.Status().Why
	for _, w := range want {
		if !strings.Contains(why, w) {
			r.Errorf("why is %q, want %q in it", why, w)
		}
	}
	if len(want) == 0 && why != "" {
		r.Errorf("why is %q, want none", why)
	}
}

// connects are the times when the main link connected to b, since the first.
func connects(b *transporttest.Broker) (n int) {
	for _, c := range b.Connects() {
		if c.ClientID == rigID {
			n++
		}
	}
	return n
}

func data(i int) Message {
	return Message{Topic: "lb/gw-1/up/data/x", Payload: fmt.Appendf(nil, "%d", i), QoS: 1}
}
