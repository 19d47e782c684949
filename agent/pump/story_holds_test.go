package pump

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// holds are topics that a test holds.
type holds struct {
	mu      sync.Mutex
	held    map[string]bool
	changed chan struct{}
}

func newHolds(topics ...string) *holds {
	h := &holds{held: map[string]bool{}, changed: make(chan struct{}, 1)}
	for _, topic := range topics {
		h.held[topic] = true
	}
	return h
}

func (h *holds) Held(topic string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.held[topic]
}

func (h *holds) Changed() <-chan struct{} { return h.changed }

func (h *holds) set(topic string, held bool) {
	h.mu.Lock()
	h.held[topic] = held
	h.mu.Unlock()
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

// What is held stays, counted by topic, in front of nothing; let go it arrives, and nothing twice: over losses of the session
// too.
func TestATopicIsHeldAndLetGo(t *testing.T) {
	for name, c := range map[string]struct {
		routes map[string]Route
		topic  string
	}{
		"alone": {nil, "up/odd"},
		"batches": {map[string]Route{"odd": {Topic: "up/odd", Batch: Batching{Frames: 20, Delay: time.Minute, Bytes: 4 << 10}}},
			"up/odd"},
		"gzip": {map[string]Route{"odd": {Topic: "up/odd", Gzip: true}}, "up/odd/gz"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHolds()
				r := newPumpRig(t, transporttest.Hooks{}, c.routes, func(p *Pump) { p.holds = h })
				defer r.stop()
				<-r.link.Ready()
				r.feed(t, 5, "odd") // may gather when it comes to be held
				synctest.Wait()
				h.set(c.topic, true)
				before := len(r.broker.Published(c.topic))
				for range 5 {
					stop := r.read(t, 100*time.Millisecond, "meter", "odd")
					time.Sleep(10 * time.Second)
					stop()
					r.broker.Kick("gw")
					time.Sleep(time.Minute)
				}
				<-r.link.Ready() // a server that closes again and again is dialled more slowly
				start := time.Now()
				for r.pump.Waiting()["up/meter"] > 0 {
					if time.Sleep(time.Second); time.Since(start) > time.Hour {
						t.Fatalf("%v", r.pump.Waiting())
					}
				}
				if n := r.pump.Waiting()[c.topic]; n < 450 || n != r.data.Status().Waiting {
					t.Fatalf("%v", r.pump.Waiting())
				}
				if got := len(r.broker.Published(c.topic)); got != before {
					t.Fatalf("%d came though it is held", got-before)
				}
				stop := r.read(t, 100*time.Millisecond, "meter")
				h.set(c.topic, false)
				start = time.Now()
				for r.pump.Waiting()[c.topic] > 0 && time.Since(start) < time.Hour {
					time.Sleep(time.Second)
				}
				if c.topic == "up/odd" && c.routes == nil && time.Since(start) > 10*time.Second {
					t.Errorf("took %v", time.Since(start))
				}
				stop()
				r.waitEmpty(t)
				if s := r.data.Status(); s.Accepted != s.Acked {
					t.Fatalf("%+v", s)
				}
				if c.topic == "up/odd" {
					if _, again := r.records(t, "odd"); again > 0 {
						t.Fatalf("%d came again", again)
					}
				}
			})
		})
	}
}

// Replies are held each by its topic.
func TestARepliesTopicIsHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHolds("reply/odd")
		r := newPumpRig(t, transporttest.Hooks{}, nil, func(p *Pump) { p.holds = h })
		defer r.stop()
		reply := func(name string, n int) {
			for i := range n {
				p := record.AppendReply(nil, name, wire.Reply{ID: fmt.Sprint(i), OK: true})
				if _, err := r.replies.Append("", p); err != nil {
					t.Fatal(err)
				}
			}
		}
		reply("odd", 3)
		reply("meter", 2)
		time.Sleep(time.Minute)
		if odd, meter := len(r.broker.Published("reply/odd")), len(r.broker.Published("reply/meter")); odd != 0 || meter != 2 {
			t.Fatalf("%d and %d", odd, meter)
		}
		if n := r.pump.Waiting()["reply/odd"]; n != 3 {
			t.Fatalf("%d wait", n)
		}
		h.set("reply/odd", false)
		r.waitEmpty(t)
		if odd := len(r.broker.Published("reply/odd")); odd != 3 {
			t.Fatalf("%d came", odd)
		}
	})
}

// Killed twenty times beside a stream that is held and a backlog that is under way: nothing is lost, and nothing twice but what
// was in flight.
func TestKillsMeanwhile(t *testing.T) {
	const kills = 20
	synctest.Test(t, func(t *testing.T) {
		var got arrivals
		base, h := t.TempDir(), newHolds("up/odd")
		o := spool.Options{Sync: time.Hour, SegmentBytes: 16 << 10} // all that was accepted survives a kill
		open := func(life int) *pumpRig {
			return newPumpRigOver(t, diskSpool(t, fmt.Sprint(base, "/", life), o), transporttest.Hooks{OnPublish: got.take}, nil,
				pacedAt(4<<10, 0), func(p *Pump) { p.holds = h })
		}
		r, n := open(0), 0
		feed := func(many int) {
			for range many {
				for _, d := range []string{"meter", "odd"} {
					frame := record.Stored{Encoding: wire.Text, Stamp: clock.Stamp{Wall: time.Now().UnixMilli()},
						Data: fmt.Appendf(nil, "%s %d", d, n)}
					if _, err := r.data.Append(d, frame.Append(nil)); err != nil {
						t.Fatal(err)
					}
				}
				n++
				time.Sleep(10 * time.Millisecond)
			}
		}
		r.broker.Close()
		feed(1000)
		time.Sleep(time.Minute)
		listener, err := r.net.Listen("broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		r.broker.Serve(listener)
		for life := 1; life <= kills; life++ {
			<-r.link.Ready()
			feed(100)
			r.broker.Close() // nothing of what the old life does in its end arrives
			synctest.Wait()
			if err := os.CopyFS(fmt.Sprint(base, "/", life), os.DirFS(fmt.Sprint(base, "/", life-1))); err != nil {
				t.Fatal(err)
			}
			r.stop()
			_ = r.data.Close()
			r = open(life)
		}
		h.set("up/odd", false)
		r.waitEmpty(t)
		r.stop()
		_ = r.data.Close()
		got.judge(t, n, kills*testWindow, "meter", "odd")
	})
}
