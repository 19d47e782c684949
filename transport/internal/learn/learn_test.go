package learn

import (
	"fmt"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

const limit = 200 * time.Second

// Whatever the path does to the client's packets, its limit is found by what came in, and its kind is known.
func TestFindsTheLimit(t *testing.T) {
	for _, mode := range []heartbeat.Mode{heartbeat.Fast, heartbeat.Thrifty} {
		for strict, kind := range map[bool]string{true: "strict", false: "loose"} {
			t.Run(fmt.Sprint(mode, " ", kind), func(t *testing.T) {
				inWorld(t, &world{limit: limit, strict: strict}, options(mode), func(w *world) {
					m := w.up("first", false)
					if s := w.status(); s.Interval != 20*time.Second || s.Proven != 0 {
						w.Errorf("begins with %+v", s)
					}
					s := w.settled(2 * time.Hour)
					if s.Interval < limit*94/100 || s.Proven > limit || s.Failing < limit-time.Second || s.Evidence != "inbound" {
						w.Errorf("%+v", s)
					}
					w.sleep(time.Hour)
					if s := w.status(); s.Kind != kind || s.Open != 0 {
						w.Errorf("an hour later: %+v", s)
					}
					told := m.told()
					for i, d := range told[1:] {
						if d < told[i] {
							w.Errorf("the beat went down to %v: %v", d, told)
						}
					}
					w.why("")
				})
			})
		}
	}
}

// What is open ends with the main link: it was on the path of a session that is gone.
func TestProbesEndWithTheMainLink(t *testing.T) {
	inWorld(t, &world{limit: limit}, options(heartbeat.Fast), func(w *world) {
		m := w.up("first", false)
		w.sleep(2 * time.Minute)
		if s := w.status(); s.Open == 0 {
			w.Fatalf("%+v", s)
		}
		w.le.Down(m, faults.Verdict{Kind: faults.OutcomeSilence, Up: true})
		w.sleep(time.Second)
		if s := w.status(); s.Open != 0 || s.Phase != "start" || s.Interval != 20*time.Second {
			w.Errorf("%+v", s)
		}
		opened := w.count(&w.opened)
		w.sleep(time.Hour)
		if w.count(&w.opened) != opened {
			w.Errorf("%d sessions were opened without a main link", w.count(&w.opened)-opened)
		}
	})
}

// A session that was meant to replace another one goes on with what that one had; any other one begins with nothing.
func TestOnlyAPlannedSessionGoesOn(t *testing.T) {
	inWorld(t, &world{limit: limit}, options(heartbeat.Fast), func(w *world) {
		w.up("first", false)
		was := w.settled(2 * time.Hour)
		second := w.up("second", true)
		if s := w.status(); s.Interval != was.Interval || s.Proven != was.Proven || len(second.told()) != 1 ||
			second.told()[0] != was.Interval {
			w.Errorf("was %+v\nis  %+v, told %v", was, s, second.told())
		}
		w.le.Down(second, faults.Verdict{Kind: faults.OutcomeClosed, Up: true})
		third := w.up("third", false)
		if s := w.status(); s.Interval != 20*time.Second || s.Proven != 0 || third.told()[0] != 20*time.Second {
			w.Errorf("%+v, told %v", s, third.told())
		}
	})
}

// A main link that was lost because its path forgot it lets the search begin below that silence.
func TestAForgottenMainLinkIsALimit(t *testing.T) {
	inWorld(t, &world{limit: limit}, options(heartbeat.Fast), func(w *world) {
		m := w.up("first", false)
		was := w.settled(2 * time.Hour)
		w.change(func() { w.limit = limit / 2 })
		w.le.Down(m, faults.Verdict{Kind: faults.OutcomeMappingLost, Up: true, Idle: true, Forgotten: true})
		w.up("second", false)
		w.sleep(time.Second)
		if s := w.status(); s.Interval != 20*time.Second || s.Reason != fmt.Sprintf(
			"the path forgot the connection after %v of silence: searched again below", was.Interval.Round(time.Millisecond)) {
			w.Errorf("%+v", s)
		}
		if s := w.settled(2 * time.Hour); s.Proven > limit/2 || s.Interval < limit*45/100 {
			w.Errorf("%+v", s)
		}
	})
}

// While nothing gets through a lost nonce says nothing about silence.
func TestAnOutageProvesNothing(t *testing.T) {
	inWorld(t, &world{}, options(heartbeat.Fast), func(w *world) {
		w.up("first", false)
		w.sleep(time.Minute)
		for range 20 {
			w.outage(30 * time.Second)
			w.sleep(45 * time.Second)
		}
		if s := w.status(); s.Failing != 0 || s.Shrinks != 0 {
			w.Errorf("%+v", s)
		}
		if s := w.settled(6 * time.Hour); s.Interval != 19*time.Minute {
			w.Errorf("a path that forgets nothing: %+v", s)
		}
	})
}

// A canary sees what no ping does: that the limit of a loose path is shorter now. Between two tests it rests, on one session.
func TestACanarySeesAShrunkLimit(t *testing.T) {
	o := options(heartbeat.Fast)
	o.Canary.Every = 5
	inWorld(t, &world{limit: limit}, o, func(w *world) {
		w.up("first", false)
		was := w.settled(2 * time.Hour)
		w.sleep(4 * time.Hour)
		if s := w.status(); s.Canaries < 10 || s.Sessions > was.Sessions+2 || s.Shrinks > 0 {
			w.Errorf("settled %+v\nlater   %+v", was, s)
		}
		w.change(func() { w.limit = limit / 4 })
		w.sleep(6 * was.Interval)
		w.settled(time.Hour)
		w.sleep(time.Hour)
		if s := w.status(); s.Shrinks != 1 || s.Interval > limit/4 || s.Interval < limit/5 {
			w.Errorf("%+v", s)
		}
	})
}

// The link may cost less, then more again: the longest beat without a budget, and back to what is proven.
func TestLevelsOfTheBudget(t *testing.T) {
	inWorld(t, &world{limit: limit}, options(heartbeat.Fast), func(w *world) {
		w.up("first", false)
		was := w.settled(2 * time.Hour)
		if !w.le.SetLevel(Exhausted) || w.le.SetLevel(Exhausted) {
			w.Error("a change, and none")
		}
		w.sleep(time.Second)
		if s := w.status(); s.Interval != 19*time.Minute {
			w.Errorf("without a budget: %+v", s)
		}
		opened := w.count(&w.opened)
		w.sleep(12 * time.Hour)
		if w.count(&w.opened) != opened {
			w.Errorf("%d sessions were opened without a budget", w.count(&w.opened)-opened)
		}
		next := make(chan time.Time, 1)
		w.le.do(func() { next <- w.le.wake(time.Now()) })
		if at := <-next; !at.IsZero() && time.Until(at) < time.Minute {
			w.Errorf("wakes in %v, though there is nothing to do", time.Until(at))
		}
		w.le.SetLevel(Normal)
		w.sleep(time.Second)
		if s := w.status(); s.Interval != was.Interval {
			w.Errorf("was %+v\nis  %+v", was, s)
		}
	})
}

// A budget of probes is a hard cap: what is proven stays, and learning rests.
func TestLearningRestsWithoutMoney(t *testing.T) {
	memory := &fakeMemory{paths: map[string]heartbeat.Knowledge{}}
	o := options(heartbeat.Thrifty)
	o.Budget = heartbeat.BudgetOptions{Month: 30 << 10, Burst: 6 << 10}
	o.Canary.Off, o.Memory = true, memory
	inWorld(t, &world{limit: limit, strict: true}, o, func(w *world) {
		w.up("first", false)
		rested, proven := false, time.Duration(0)
		for h := range 24 * 20 {
			w.sleep(time.Hour)
			s := w.status()
			rested = rested || s.Phase == "resting"
			if s.Proven < proven {
				w.Fatalf("what was proven is gone: %+v", s)
			}
			if proven = s.Proven; s.Cost > 6<<10+30<<10*int64(h+1)/720+2<<10 {
				w.Fatalf("%d bytes after %d hours", s.Cost, h+1)
			}
		}
		if !rested {
			w.Errorf("never rested: %+v", w.status())
		}
	})
	if memory.Budget().At.IsZero() {
		t.Error("what is left was not kept")
	}
}

// What was learnt is kept under the name of its path, and is where the next epoch looks first.
func TestWhatIsLearntIsKept(t *testing.T) {
	memory := &fakeMemory{paths: map[string]heartbeat.Knowledge{}}
	o := options(heartbeat.Thrifty)
	o.Memory = memory
	inWorld(t, &world{limit: limit, strict: true}, o, func(w *world) {
		m := w.up("first", false)
		was := w.settled(6 * time.Hour)
		w.sleep(time.Hour) // and its kind
		if k, ok := memory.Recall("mqtt://server"); !ok || k.Proven != was.Proven || k.Kind != heartbeat.Strict {
			w.Errorf("kept: %+v, of %+v", k, was)
		}
		w.le.Down(m, faults.Verdict{Kind: faults.OutcomeClosed, Up: true})
		w.up("second", false)
		if s := w.status(); s.Remembered != was.Proven || s.Proven != 0 {
			w.Errorf("%+v", s)
		}
		w.sleep(limit * 11 / 10)
		if s := w.status(); s.Interval < limit*9/10 {
			w.Errorf("1.1 limits later: %+v", s)
		}
	})
}

// What kind of path it is, is asked three times at most: a main link that always answers late looks like an outage each time.
func TestTheKindOfPathIsNotAskedForEver(t *testing.T) {
	o := options(heartbeat.Thrifty)
	o.Canary.Off = true
	inWorld(t, &world{limit: limit, strict: true, slow: true}, o, func(w *world) {
		w.up("first", false)
		was := w.settled(2 * time.Hour)
		w.sleep(60 * 24 * time.Hour)
		if s := w.status(); s.Kind != "unknown" || s.Canaries-was.Canaries != 3 {
			w.Errorf("was %+v\nis  %+v", was, s)
		}
	})
}
