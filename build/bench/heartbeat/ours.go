package heartbeat

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// ours is the real link.
type ours struct {
	mode   heartbeat.Mode
	canary transport.Canary
	after  time.Duration
	memory *memory
	both   bool // two servers

	link *transport.Link
	mu   sync.Mutex
	drop []time.Time
}

// memory keeps one path, as the agent's file would.
type memory struct {
	mu sync.Mutex
	k  heartbeat.Knowledge
}

func (m *memory) Recall(string) (heartbeat.Knowledge, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.k, m.k.Known()
}

func (m *memory) Remember(_ string, k heartbeat.Knowledge) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.k = k
}

func (m *memory) Budget() heartbeat.BudgetState    { return heartbeat.BudgetState{} }
func (m *memory) SaveBudget(heartbeat.BudgetState) {}

func (o *ours) options(w *world) transport.Options {
	learning := transport.Learning{
		Mode: o.mode, Min: floor, Max: ceiling, After: o.after, Canary: o.canary,
		Topic:  func(n int) string { return fmt.Sprintf("lb/gw/dn/probe/%d", n) },
		Budget: heartbeat.BudgetOptions{Month: 1 << 40},
	}
	if o.memory != nil {
		learning.Memory = o.memory
	}
	servers := []transport.Server{{URL: "mqtt://a"}}
	if o.both {
		servers = append(servers, transport.Server{URL: "mqtt://b"})
	}
	return transport.Options{
		ClientID: deviceID, Servers: servers, DetectWithin: detectWithin, AdaptKeep: true,
		Keepalive: 1170 * time.Second, Learning: learning, Dial: w.dial, Rand: w.random,
		Notify: func(e transport.Event) {
			if e.Kind == transport.EventDown {
				o.mu.Lock()
				o.drop = append(o.drop, e.At)
				o.mu.Unlock()
			}
		},
	}
}

func (o *ours) run(ctx context.Context, w *world) {
	link, err := transport.New(o.options(w))
	if err != nil {
		panic(err) // the options are ours
	}
	link.Handle(cmdFilter, func(m transport.Message, _ bool) { w.heard(m.Payload) })
	o.link = link
	_ = link.Run(ctx)
}

func (o *ours) interval() time.Duration { return o.link.Status().Interval }

func (o *ours) drops() []time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]time.Time(nil), o.drop...)
}
