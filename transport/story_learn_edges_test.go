package transport

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// The edges of learning: slow radios, empty budgets, rules that change.

// A PUBACK that is late by more than what a canary is silent for too long hides nothing, twice in a row.
func TestCanaryBehindASlowRadio(t *testing.T) {
	limit := 60 * time.Second
	o := tweaked(heartbeat.Fast, func(o *Options) { o.Learning.Canary.Every = 5 })
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: limit, Behaviour: transporttest.LooseSilent,
		Latency: 600 * time.Millisecond}, tweak: o}, func(r *rig) {
		r.up(time.Minute)
		was := r.settled(2 * time.Hour)
		r.nat.SetIdle(limit / 2)
		r.sleep(8 * was.Interval)
		if st := r.link.Status().Heartbeat; st.Shrinks != 1 || st.Interval > limit/2 {
			r.Errorf("was %+v\nis  %+v", was, st)
		}
	})
}

// Canaries are no part of the budget: a raised beat is watched while learning rests.
func TestCanaryWhileLearningRests(t *testing.T) {
	o := tweaked(heartbeat.Fast, func(o *Options) {
		o.Learning.Canary.Every = 5
		o.Learning.Budget = heartbeat.BudgetOptions{Month: 40 << 10, Burst: 28 << 10}
	})
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: 10 * time.Minute, Behaviour: transporttest.LooseSilent},
		tweak: o}, func(r *rig) {
		r.up(time.Minute)
		var st HeartbeatStatus
		for start := time.Now(); st.Phase != "resting" || st.Interval < time.Minute; r.sleep(time.Second) {
			if st = r.link.Status().Heartbeat; time.Since(start) > 24*time.Hour {
				r.Fatalf("never rests on raised ground: %+v", st)
			}
		}
		r.nat.SetIdle(st.Interval / 2)
		r.sleep(8 * st.Interval)
		if now := r.link.Status().Heartbeat; now.Shrinks != 1 {
			r.Errorf("was %+v\nis  %+v", st, now)
		}
	})
}

// A small burst is not spent on sessions that cannot be used.
func TestSessionsAreReserved(t *testing.T) {
	o := tweaked(heartbeat.Fast, func(o *Options) {
		o.Learning.Canary.Off = true
		o.Learning.Budget = heartbeat.BudgetOptions{Month: 60 << 10, Burst: 30 << 10}
	})
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: testLimit, Behaviour: transporttest.Strict},
		tweak: o}, func(r *rig) {
		r.up(time.Minute)
		for start, step := time.Now(), time.Minute; time.Since(start) < 30*24*time.Hour; r.sleep(step) {
			st := r.link.Status().Heartbeat
			if hours := time.Since(start).Hours(); float64(st.Cost) > 30<<10+60<<10*hours/720+2<<10 {
				r.Fatalf("%d bytes after %.1f hours: %+v", st.Cost, hours, st)
			}
			if time.Since(start) > time.Hour {
				step = time.Hour
			}
		}
		if st := r.link.Status().Heartbeat; st.Phase != "settled" || st.Probes < st.Sessions/2 {
			r.Errorf("%+v", st)
		}
	})
}

// What was spent is kept when the agent stops amid its tests.
func TestBudgetIsKeptAtTheEnd(t *testing.T) {
	memory := &testMemory{paths: map[string]heartbeat.Knowledge{}}
	o := tweaked(heartbeat.Fast, func(o *Options) {
		o.Learning.Memory = memory
		o.Learning.Budget = heartbeat.BudgetOptions{Month: 1 << 20, Burst: 128 << 10}
	})
	inBubble(t, rigOptions{tweak: o}, func(r *rig) {
		r.up(time.Minute)
		r.sleep(25 * time.Second)
	})
	if memory.left.Left > 128<<10-12<<10 {
		t.Errorf("kept: %+v", memory.left)
	}
}

// Rules that begin to forbid probes after they were carried cost two sessions at most.
func TestProbesAreForbiddenLater(t *testing.T) {
	var forbidden atomic.Bool
	hooks := transporttest.Hooks{OnPublish: func(id string, m transporttest.Message) transporttest.Answer {
		if forbidden.Load() && id == rigID && m.Topic != rigState {
			return transporttest.HangUp
		}
		return transporttest.Take
	}}
	inBubble(t, rigOptions{a: hooks, nat: transporttest.NATOptions{Idle: testLimit, Behaviour: transporttest.Strict},
		tweak: learning(heartbeat.Fast)}, func(r *rig) {
		r.up(time.Minute)
		r.sleep(2 * time.Minute)
		forbidden.Store(true)
		r.sleep(6 * time.Hour)
		if st := r.link.Status(); st.Drops > 2 || st.State != StateUp || st.Heartbeat.Evidence == "inbound" {
			r.Errorf("%+v", st)
		}
		r.why("learning is not possible")
	})
}

// A server that cannot take probe sessions for a while is no server that denies them; one that always hangs up on them is.
func TestProbeSessionsThatDoNotOpen(t *testing.T) {
	for name, c := range map[string]struct {
		code   byte
		denied bool
	}{"unavailable": {transporttest.ServerUnavailable, false}, "not authorised": {transporttest.NotAuthorised, true}} {
		t.Run(name, func(t *testing.T) {
			hooks := transporttest.Hooks{OnConnect: func(x transporttest.Connect) byte {
				if x.ClientID != rigID {
					return c.code
				}
				return transporttest.Accepted
			}}
			inBubble(t, rigOptions{a: hooks, tweak: learning(heartbeat.Fast)}, func(r *rig) {
				r.up(time.Minute)
				r.sleep(10 * time.Minute)
				st := r.link.Status()
				if c.denied {
					r.why("learning is not possible")
				} else {
					r.why("no probe session can be opened")
				}
				if st.Heartbeat.Cost == 0 || st.Drops > 0 {
					r.Errorf("%+v", st)
				}
			})
		})
	}
}

// The pair on a strict path, with telemetry that makes it superfluous for a while.
func TestPairOnAStrictPath(t *testing.T) {
	o := tweaked(heartbeat.Fast, func(o *Options) { o.Learning.Canary.Pair = true })
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: testLimit, Behaviour: transporttest.Strict,
		Latency:        50 * time.Millisecond,
		RefreshInbound: true /* our kernel acknowledges */}, tweak: o}, func(r *rig) {
		r.up(time.Minute)
		r.settled(2 * time.Hour)
		for i := range 100 {
			if i%20 < 10 {
				if _, err := r.link.Publish(r.Context(), data(i)); err != nil {
					r.Fatal(err)
				}
			}
			r.sleep(time.Minute)
		}
		if st := r.link.Status(); st.Heartbeat.Shrinks != 0 || st.Drops != 0 {
			r.Errorf("%+v", st)
		}
	})
}
