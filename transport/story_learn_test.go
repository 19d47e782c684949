package transport

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// learning are options under which a link learns at once and money is no matter.
func learning(mode heartbeat.Mode) func(*Options) {
	return func(o *Options) {
		o.Keepalive, o.AdaptKeep = 1170*time.Second, true
		o.Learning = Learning{Mode: mode, Min: 20 * time.Second, Max: 19 * time.Minute, Topic: probeTopic,
			Budget: heartbeat.BudgetOptions{Month: 1 << 30}}
	}
}

func probeTopic(n int) string { return fmt.Sprintf("lb/gw-1/dn/probe/%d", n) }

// tweaked is learning with more.
func tweaked(mode heartbeat.Mode, more func(*Options)) func(*Options) {
	return func(o *Options) { learning(mode)(o); more(o) }
}

// settled waits until nothing more is to be learnt.
func (r *rig) settled(within time.Duration) HeartbeatStatus {
	r.Helper()
	for start := time.Now(); time.Since(start) < within; r.sleep(time.Second) {
		if st := r.link.Status().Heartbeat; st.Phase == "settled" {
			return st
		}
	}
	r.Fatalf("not settled within %v: %+v", within, r.link.Status())
	return HeartbeatStatus{}
}

// testMemory keeps everything in a map.
type testMemory struct {
	mu    sync.Mutex
	paths map[string]heartbeat.Knowledge
	left  heartbeat.BudgetState
}

func (m *testMemory) Recall(path string) (heartbeat.Knowledge, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.paths[path]
	return k, ok
}

func (m *testMemory) Remember(path string, k heartbeat.Knowledge) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paths[path] = k
}

func (m *testMemory) Budget() heartbeat.BudgetState {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.left
}

func (m *testMemory) SaveBudget(b heartbeat.BudgetState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = b
}

const testLimit = 200 * time.Second

func behaviours() map[transporttest.Behaviour]string {
	return map[transporttest.Behaviour]string{transporttest.LooseRST: "loose", transporttest.LooseSilent: "loose",
		transporttest.Strict: "strict", transporttest.SYNOnly: "strict"}
}

// Whatever a NAT does, learning finds its limit, says of which kind it is, and costs no connection.
func TestLearns(t *testing.T) {
	for b, kind := range behaviours() {
		for _, mode := range []heartbeat.Mode{heartbeat.Fast, heartbeat.Thrifty} {
			t.Run(fmt.Sprint(b, " ", mode), func(t *testing.T) {
				inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: testLimit, Behaviour: b,
					Latency: 50 * time.Millisecond}, tweak: learning(mode)}, func(r *rig) {
					r.up(time.Minute)
					if st := r.link.Status().Heartbeat; st.Interval != 20*time.Second || st.Proven != 0 {
						r.Errorf("begins with %+v", st)
					}
					st := r.settled(2 * time.Hour)
					if float64(st.Interval) < 0.945*float64(testLimit) || st.Evidence != "inbound" || st.Proven > testLimit ||
						st.Failing < testLimit-time.Second {
						r.Errorf("%+v", st)
					}
					r.sleep(time.Hour)
					if st := r.link.Status(); st.Drops > 0 || st.Heartbeat.Kind != kind || st.Heartbeat.Open > 0 {
						r.Errorf("drops %d, %+v", st.Drops, st.Heartbeat)
					}
					r.why()
				})
			})
		}
	}
}

// A canary sees what no ping does: that the limit of a loose path is shorter now; and between two of them it rests, on one
// session.
func TestCanarySeesAShrunkLimit(t *testing.T) {
	for _, b := range []transporttest.Behaviour{transporttest.LooseRST, transporttest.LooseSilent} {
		t.Run(b.String(), func(t *testing.T) {
			o := tweaked(heartbeat.Fast, func(o *Options) { o.Learning.Canary.Every = 5 })
			inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: testLimit, Behaviour: b, Latency: 50 * time.Millisecond},
				tweak: o}, func(r *rig) {
				r.up(time.Minute)
				was := r.settled(2 * time.Hour)
				r.sleep(4 * time.Hour)
				st := r.link.Status().Heartbeat
				if st.Canaries < 10 || st.Sessions > was.Sessions+2 || st.Kind != "loose" || st.Shrinks > 0 {
					r.Errorf("settled: %+v\nlater: %+v", was, st)
				}
				r.nat.SetIdle(testLimit / 4)
				r.sleep(6 * was.Interval)
				r.settled(time.Hour)
				r.sleep(time.Hour)
				if st := r.link.Status().Heartbeat; st.Shrinks != 1 || st.Interval > testLimit/4 ||
					float64(st.Interval) < 0.9*float64(testLimit/4) || st.Kind != "loose" {
					r.Errorf("%+v", st)
				}
			})
		})
	}
}

// What CONNECT says follows the beat, by a re-dial that nobody notices.
func TestPlannedRedial(t *testing.T) {
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: testLimit, Behaviour: transporttest.Strict,
		Latency: 50 * time.Millisecond}, tweak: learning(heartbeat.Fast)}, func(r *rig) {
		r.up(time.Minute)
		if st := r.link.Status(); st.Keepalive != 1170*time.Second {
			r.Errorf("an unknown path gets %v", st.Keepalive)
		}
		before := r.settled(2 * time.Hour)
		r.sleep(10 * time.Minute)
		st := r.link.Status()
		if want := 2 * st.Interval.Truncate(time.Second); st.Redials != 1 || st.Drops != 0 || st.Sessions != 2 ||
			(st.Keepalive-want).Abs() > 2*time.Second {
			r.Errorf("%+v", st)
		}
		if st.Heartbeat.Proven < before.Proven || st.State != StateUp {
			r.Errorf("the re-dial cost what was proven: %+v", st.Heartbeat)
		}
		for _, m := range r.a.Published(rigState) {
			if strings.Contains(string(m.Payload), `"online":false`) {
				r.Errorf("a will was published: %s", m.Payload)
			}
		}
		if n, err := r.link.Publish(r.Context(), data(1), data(2)); n != 2 || err != nil {
			r.Errorf("%d, %v", n, err)
		}
	})
}

// A server that refuses a high keepalive with "identifier rejected" is asked again lower, at once.
func TestLowerKeepalive(t *testing.T) {
	hooks := transporttest.Hooks{OnConnect: func(c transporttest.Connect) byte {
		if c.Keepalive > 300 {
			return 2
		}
		return transporttest.Accepted
	}}
	inBubble(t, rigOptions{a: hooks, tweak: learning(heartbeat.Fast)}, func(r *rig) {
		r.up(10 * time.Second)
		if st := r.link.Status(); st.Keepalive != 292*time.Second || st.Drops != 0 {
			r.Errorf("%+v", st)
		}
		r.settled(2 * time.Hour)
		r.sleep(12 * time.Hour)
		if st := r.link.Status(); st.Interval > 300*time.Second || st.Drops != 0 || st.Heartbeat.Sessions > 30 {
			r.Errorf("%+v", st)
		}
	})
}

// Where the server does not carry probes the beat rests on pings, which prove little: it stays where the operator said.
func TestWeakMode(t *testing.T) {
	probe := func(topic string) bool { return strings.Contains(topic, "/dn/probe/") }
	for name, hooks := range map[string]transporttest.Hooks{
		"publish swallowed": {OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
			if probe(m.Topic) {
				return transporttest.Swallow
			}
			return transporttest.Take
		}},
		"subscription refused": {OnSubscribe: func(_, filter string) byte {
			if probe(filter) {
				return transporttest.SubscriptionFailed
			}
			return 1
		}},
		"client id refused": {OnConnect: func(c transporttest.Connect) byte {
			if strings.Contains(c.ClientID, "-p") {
				return 5
			}
			return transporttest.Accepted
		}},
		"main link hung up on": {OnPublish: func(id string, m transporttest.Message) transporttest.Answer {
			if id == rigID && probe(m.Topic) {
				return transporttest.HangUp
			}
			return transporttest.Take
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{a: hooks, tweak: learning(heartbeat.Fast)}, func(r *rig) {
				r.up(time.Minute)
				r.sleep(3 * time.Hour)
				st := r.link.Status()
				if st.State != StateUp || st.Drops > 1 || st.Heartbeat.Evidence != "weak" || st.Interval != time.Minute ||
					st.Heartbeat.Proven != 0 || st.Heartbeat.Open != 0 {
					r.Errorf("%+v", st)
				}
				r.why("learning is not possible")
				connects := len(r.a.Connects())
				r.sleep(12 * time.Hour)
				if n := len(r.a.Connects()) - connects; n > 0 {
					r.Errorf("asked again %d times within a day", n)
				}
				r.sleep(24 * time.Hour)
				if len(r.a.Connects()) == connects {
					r.Error("never asked again")
				}
			})
		})
	}
}

// A budget is a hard cap: what is proven stays, and learning rests.
func TestBudget(t *testing.T) {
	memory := &testMemory{paths: map[string]heartbeat.Knowledge{}}
	o := tweaked(heartbeat.Thrifty, func(o *Options) {
		o.Learning.Budget = heartbeat.BudgetOptions{Month: 30 << 10, Burst: 6 << 10}
		o.Learning.Canary.Off = true // which is no part of it
		o.Learning.Memory = memory
	})
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: testLimit, Behaviour: transporttest.Strict},
		tweak: o}, func(r *rig) {
		r.up(time.Minute)
		rested, start := false, time.Now()
		for range 24 * 30 {
			r.sleep(time.Hour)
			st := r.link.Status().Heartbeat
			rested = rested || st.Phase == "resting"
			if hours := time.Since(start).Hours(); float64(st.Cost) > 6<<10+30<<10*hours/720+2<<10 {
				r.Fatalf("%d bytes after %v hours: %+v", st.Cost, hours, st)
			}
		}
		if st := r.link.Status(); !rested || st.Drops > 0 || st.Heartbeat.Phase != "settled" || st.Heartbeat.Kind != "strict" {
			r.Errorf("rested %v, %+v", rested, st.Heartbeat)
		}
	})
	if memory.left.At.IsZero() || memory.left.Left > 6<<10 {
		t.Errorf("budget kept: %+v", memory.left)
	}
}

func TestASmallBurstMeansThrifty(t *testing.T) {
	o := tweaked(heartbeat.Fast, func(o *Options) {
		o.Learning.Budget = heartbeat.BudgetOptions{Month: 1 << 20, Burst: 10 << 10}
	})
	inBubble(t, rigOptions{tweak: o}, func(r *rig) {
		r.up(time.Minute)
		r.sleep(time.Minute)
		if st := r.link.Status().Heartbeat; st.Open != 1 {
			r.Errorf("%+v", st)
		}
	})
}

func TestOffNeverProbes(t *testing.T) {
	inBubble(t, rigOptions{tweak: tweaked(heartbeat.Off, func(*Options) {})}, func(r *rig) {
		r.up(time.Minute)
		r.sleep(48 * time.Hour)
		if st := r.link.Status(); len(r.a.Connects()) != 1+int(st.Redials) || st.Interval != time.Minute ||
			st.Heartbeat.Phase != "off" {
			r.Errorf("%d connects, %+v", len(r.a.Connects()), st)
		}
	})
}

// A proxy that ends idle sessions with a FIN is a limit too, and no NAT.
func TestClosedByAProxy(t *testing.T) {
	limit := 90 * time.Second
	inBubble(t, rigOptions{tweak: learning(heartbeat.Fast)}, func(r *rig) {
		r.up(time.Minute)
		kick := func() {
			for _, id := range r.a.Online() {
				if id != rigID && time.Since(r.a.Heard(id)) >= limit {
					r.a.Kick(id)
				}
			}
		}
		for range 3600 {
			r.sleep(time.Second)
			kick()
		}
		st := r.link.Status()
		if st.Drops > 0 || st.Heartbeat.Phase != "settled" || st.Heartbeat.Proven > limit+time.Second ||
			float64(st.Heartbeat.Interval) < 0.9*float64(limit) {
			r.Errorf("%+v drops %d", st.Heartbeat, st.Drops)
		}
	})
}

// An epoch that nobody asked for begins anew; what is remembered is a hint and shows first.
func TestANewEpochBeginsAtMin(t *testing.T) {
	memory := &testMemory{paths: map[string]heartbeat.Knowledge{}}
	o := tweaked(heartbeat.Thrifty, func(o *Options) { o.Learning.Memory = memory })
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: testLimit, Behaviour: transporttest.LooseSilent},
		tweak: o}, func(r *rig) {
		r.up(time.Minute)
		was := r.settled(3 * time.Hour)
		r.a.Kick(rigID)
		r.down(time.Minute)
		r.up(time.Minute)
		if st := r.link.Status(); st.Interval != 20*time.Second || st.Heartbeat.Proven != 0 ||
			st.Heartbeat.Remembered != was.Proven {
			r.Errorf("%+v", st.Heartbeat)
		}
		r.sleep(testLimit * 11 / 10)
		if st := r.link.Status().Heartbeat; float64(st.Interval) < 0.9*float64(testLimit) {
			r.Errorf("1.1 limits later: %+v", st)
		}
		k := memory.paths["mqtt://a"]
		if k.Proven == 0 || k.Kind != heartbeat.Loose {
			r.Errorf("kept: %+v", k)
		}
	})
}

// Telemetry keeps the mapping and replaces the pings.
func TestTelemetryReplacesPings(t *testing.T) {
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: testLimit, Behaviour: transporttest.Strict},
		tweak: learning(heartbeat.Fast)}, func(r *rig) {
		r.up(time.Minute)
		r.settled(2 * time.Hour)
		r.sleep(10 * time.Minute)
		pings := r.link.Status().Pings
		for i := range 100 {
			r.sleep(90 * time.Second)
			if _, err := r.link.Publish(r.Context(), data(i)); err != nil {
				r.Fatal(err)
			}
		}
		if n := r.link.Status().Pings - pings; n > 0 {
			r.Errorf("%d pings", n)
		}
	})
}
