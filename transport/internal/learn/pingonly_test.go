package learn

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// denied is a server that carries no probes.
func denied() *world { return &world{connack: func(string) byte { return 5 }} }

// live lets a session run until what it may be silent for ends it, or for at most so long, and returns the beat that ended it.
func (w *world) live(m *fakeMain, limit, most time.Duration, end func(beat time.Duration) faults.Verdict) (beat time.Duration) {
	for start := time.Now(); time.Since(start) < most; {
		told := m.told()
		if len(told) == 0 {
			w.sleep(time.Second)
			continue
		}
		beat := told[len(told)-1]
		w.sleep(min(beat, limit))
		if told = m.told(); beat >= limit && told[len(told)-1] == beat {
			w.le.Down(m, end(beat))
			return beat
		}
	}
	return 0
}

// TestNoSilenceEndsThree: whatever the limit, and whether the path forgets or something closes, no beat that ended two sessions
// is tried again within the hour, and the link comes to rest below the limit.
func TestNoSilenceEndsThree(t *testing.T) {
	lost := func(time.Duration) faults.Verdict {
		return faults.Verdict{Kind: faults.OutcomeSilence, Loss: faults.LossSilence, Up: true, Idle: true}
	}
	for _, limit := range []time.Duration{21 * time.Second, 29 * time.Second, 31 * time.Second, 45 * time.Second,
		59 * time.Second, 100 * time.Second, 3 * time.Minute} {
		for name, end := range map[string]func(time.Duration) faults.Verdict{
			"forgotten": lost,
			"closed at the silence": func(time.Duration) faults.Verdict {
				return faults.Verdict{Kind: faults.OutcomeClosed, Loss: faults.LossClosed, Up: true, Silence: limit}
			},
			"closed at the beat": func(beat time.Duration) faults.Verdict {
				return faults.Verdict{Kind: faults.OutcomeClosed, Loss: faults.LossReset, Up: true, Silence: beat}
			},
		} {
			t.Run(name+" "+limit.String(), func(t *testing.T) {
				o := options(heartbeat.Fast)
				o.Weak = 10 * time.Minute
				inWorld(t, denied(), o, func(w *world) {
					ends, last := map[time.Duration]int{}, time.Duration(0)
					for start := time.Now(); time.Since(start) < 12*time.Hour; {
						beat := w.live(w.up("session", false), limit, time.Hour, end)
						if beat == 0 {
							last = w.status().Interval
							continue
						}
						if ends[beat]++; ends[beat] > 2 {
							w.Fatalf("%v ended %d sessions: %v", beat, ends[beat], ends)
						}
						w.sleep(time.Second)
					}
					if last == 0 || last >= limit {
						w.Errorf("rests at %v: %v", last, ends)
					}
				})
			})
		}
	}
}

// TestWhatEndsNoSilence: a server that restarts closes at any moment, and the beat is none the worse for it.
func TestWhatEndsNoSilence(t *testing.T) {
	for name, v := range map[string]faults.Verdict{
		"closed amid data":           {Kind: faults.OutcomeClosed, Up: true},
		"closed soon after a packet": {Kind: faults.OutcomeClosed, Up: true, Silence: 3 * time.Second},
		"closed where others lived": {Kind: faults.OutcomeClosed, Up: true, Silence: 50 * time.Second,
			Survived: time.Minute},
		"lost with data in flight": {Kind: faults.OutcomeSilence, Up: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, denied(), options(heartbeat.Fast), func(w *world) {
				for range 4 {
					m := w.up("session", false)
					w.sleep(time.Hour)
					if got := w.status().Interval; got != time.Minute {
						w.Fatalf("%v", got)
					}
					w.le.Down(m, v)
				}
			})
		})
	}
}

// Two paths by turns: what ended sessions on one is known when it comes back.
func TestEachPathHasItsSilences(t *testing.T) {
	inWorld(t, denied(), options(heartbeat.Fast), func(w *world) {
		p := w.le.pingOnly
		now := time.Now()
		w.le.do(func() {
			p = w.le.pingOnly
			p.on, w.le.beat.interval = true, time.Minute
			for i, path := range []string{"a", "b", "a"} {
				w.le.path = path
				p.ended(faults.Verdict{Idle: true}, now.Add(time.Duration(i)*time.Minute))
			}
			if len(p.lost["a"]) != 2 || p.shortest("b", now) != time.Minute || p.shortest("c", now) != 0 {
				w.Errorf("%v", p.lost)
			}
			if p.shortest("a", now.Add(25*time.Hour)) != 0 {
				w.Errorf("remembered for ever: %v", p.lost)
			}
			for i := range 100 {
				w.le.path = string(rune('A' + i))
				p.ended(faults.Verdict{Idle: true}, now)
			}
			if len(p.lost) > silentPaths {
				w.Errorf("%d paths", len(p.lost))
			}
		})
		w.sleep(time.Second)
	})
}
