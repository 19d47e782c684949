package backoff

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
)

var (
	testLimits = Limits{Min: time.Second, Max: 2 * time.Minute, Refused: 15 * time.Minute}
	backoffDay = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

// lasted is the verdict on a session that was up so long.
func lasted(kind faults.Outcome, d time.Duration) faults.Verdict {
	return faults.Verdict{Kind: kind, Up: true, Lasted: d}
}

// inOrder are the ranks of so many servers, each preferred to the next.
func inOrder(servers int) []int {
	var ranks []int
	for i := range servers {
		ranks = append(ranks, i+1)
	}
	return ranks
}

func TestBackoff(t *testing.T) {
	dial := func(kind faults.Outcome) faults.Verdict { return faults.Verdict{Kind: kind} }
	idle := faults.Verdict{Kind: faults.OutcomeSilence, Up: true, Idle: true, Lasted: time.Hour}
	quick, long := lasted(faults.OutcomeClosed, time.Second), lasted(faults.OutcomeClosed, time.Hour)
	for _, tt := range []struct {
		name    string
		servers int
		rand    float64
		play    []faults.Verdict // each at the server that was chosen before, when it was due
		want    string           // the servers and the waiting before each of them
	}{
		{"refused TCP is jittered up to max", 1, 1, []faults.Verdict{dial(0), dial(0), dial(0), dial(0), dial(0), dial(0)},
			"0+3s 0+9s 0+27s 0+1m21s 0+2m0s 0+2m0s"},
		{"low draws stay low", 1, 0, []faults.Verdict{dial(0), dial(0), dial(0)}, "0+1s 0+1s 0+1s"},
		{"the next server at once, and waiting when the round is finished", 3, 1,
			[]faults.Verdict{dial(0), dial(0), dial(0), dial(0)}, "1+0s 2+0s 0+3s 1+0s"},
		{"accept then kick", 1, 1, []faults.Verdict{quick, quick, quick, quick, quick, quick, quick, quick},
			"0+1s 0+3s 0+9s 0+27s 0+1m21s 0+4m3s 0+10m0s 0+10m0s"},
		{"accept then kick, drawn low", 1, 0, []faults.Verdict{quick, quick, quick, quick, quick, quick, quick, quick},
			"0+500ms 0+1.5s 0+4.5s 0+13.5s 0+40.5s 0+2m1.5s 0+5m0s 0+5m0s"},
		{"closed before CONNACK is a kick", 1, 1, []faults.Verdict{dial(faults.OutcomeClosed), dial(faults.OutcomeClosed)},
			"0+1s 0+3s"},
		{"CONNACK alone forgets nothing", 1, 1, []faults.Verdict{quick, quick, lasted(faults.OutcomeClosed, 59*time.Second),
			quick}, "0+1s 0+3s 0+9s 0+27s"},
		{"a stable session forgets, the more kicks the later", 1, 1,
			[]faults.Verdict{quick, quick, lasted(faults.OutcomeClosed, 8*time.Minute),
				lasted(faults.OutcomeClosed, 28*time.Minute), idle, quick}, "0+1s 0+3s 0+9s 0+20s 0+0s 0+1s"},
		{"a server that restarts", 1, 1, []faults.Verdict{long, dial(0), dial(0), dial(0), dial(0)},
			"0+20s 0+20s 0+20s 0+3s 0+9s"},
		{"a server that restarts, drawn low, is no tight loop", 1, 0, []faults.Verdict{long, dial(0), quick, dial(0)},
			"0+100ms 0+100ms 0+500ms 0+100ms"},
		{"a server that restarts, and another one", 2, 1, []faults.Verdict{long, dial(0), dial(0)}, "1+0s 1+3s 1+9s"},
		{"silence after idle", 1, 1, []faults.Verdict{idle, idle}, "0+0s 0+0s"},
		{"silence after idle, another server first", 2, 1, []faults.Verdict{idle, idle}, "1+0s 0+0s"},
		{"silence with data", 1, 1, []faults.Verdict{lasted(0, time.Hour), lasted(0, time.Second)}, "0+3s 0+9s"},
		{"refused", 1, 1, []faults.Verdict{dial(faults.OutcomeRefused), dial(faults.OutcomeRefused)}, "0+15m0s 0+15m0s"},
		{"refused by one of two", 2, 1, []faults.Verdict{dial(faults.OutcomeRefused), dial(0), dial(0)}, "1+0s 1+3s 1+9s"},
		{"nonsense is a kick, stable or not", 1, 1, []faults.Verdict{dial(faults.OutcomeNonsense),
			lasted(faults.OutcomeNonsense, 10*time.Second)}, "0+1s 0+3s"},
		{"a lost mapping", 1, 1, []faults.Verdict{lasted(faults.OutcomeMappingLost, time.Hour),
			lasted(faults.OutcomeMappingLost, time.Hour)}, "0+0s 0+0s"},
		{"a mapping that is lost again and again", 1, 1, []faults.Verdict{lasted(faults.OutcomeMappingLost, time.Second),
			lasted(faults.OutcomeMappingLost, time.Second), lasted(faults.OutcomeMappingLost, time.Second)}, "0+0s 0+3s 0+9s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := New(testLimits, inOrder(tt.servers), time.Minute, func() float64 { return tt.rand })
			now, i := backoffDay, 0
			var got []string
			for _, v := range tt.play {
				now = now.Add(v.Lasted)
				next, at := b.Failed(now, i, v)
				got = append(got, fmt.Sprintf("%d+%v", next, at.Sub(now)))
				now, i = at, next
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("\n got %s\nwant %s", s, tt.want)
			}
		})
	}
}

func TestRestGrows(t *testing.T) {
	b := New(testLimits, inOrder(3), time.Minute, func() float64 { return 1 })
	idle := faults.Verdict{Kind: faults.OutcomeSilence, Up: true, Idle: true, Lasted: time.Hour}
	now := backoffDay
	step := func(i int, v faults.Verdict, want int) {
		t.Helper()
		if next, at := b.Failed(now, i, v); next != want || at != now {
			t.Fatalf("after %d: %d in %v, want %d at once", i, next, at.Sub(now), want)
		}
	}
	step(0, idle, 1)
	step(1, idle, 2) // though 0 could be dialled: it rests
	if j, at, ok := b.Better(2); !ok || j != 0 || at.Sub(now) != 30*time.Second {
		t.Errorf("better than 2 is %d in %v, %v", j, at.Sub(now), ok)
	}
	now = now.Add(30 * time.Second)
	b.NotBack(now, 0)
	if j, at, _ := b.Better(2); j != 1 || at.After(now) {
		t.Errorf("better than 2 is %d in %v", j, at.Sub(now))
	}
	if _, at, _ := b.Better(1); at.Sub(now) != time.Minute {
		t.Errorf("better than 1 in %v", at.Sub(now))
	}
	for range 9 {
		b.NotBack(now, 0)
	}
	if _, at, _ := b.Better(1); at.Sub(now) != faults.CooldownMax {
		t.Errorf("better than 1 in %v", at.Sub(now))
	}
	if _, _, ok := b.Better(0); ok {
		t.Error("there is nothing better than the first")
	}
}

func TestChangedRoutesEndSilenceOnly(t *testing.T) {
	for kind, want := range map[faults.Outcome]time.Duration{
		faults.OutcomeSilence:  0,
		faults.OutcomeRefused:  15 * time.Minute,
		faults.OutcomeNonsense: 750 * time.Millisecond,
	} {
		b := New(testLimits, inOrder(1), time.Minute, func() float64 { return 0.5 })
		b.Failed(backoffDay, 0, faults.Verdict{Kind: kind})
		if _, at := b.Routed(backoffDay, 0); at.Sub(backoffDay) != want {
			t.Errorf("outcome %d: waits %v", kind, at.Sub(backoffDay))
		}
	}
}

// A fleet of 1000 whose only server restarts for 5 s: no second of the first minute sees more than a few of them.
func TestFleetIsSpread(t *testing.T) {
	perSecond := map[int]int{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		b := New(testLimits, inOrder(1), time.Minute, r.Float64)
		v, silence := lasted(faults.OutcomeClosed, time.Hour), faults.Verdict{}
		for now := backoffDay; now.Sub(backoffDay) < time.Minute; v = silence {
			_, now = b.Failed(now, 0, v)
			perSecond[int(now.Sub(backoffDay).Seconds())]++
			if now.Sub(backoffDay) > 5*time.Second {
				break
			}
		}
	}
	for second, n := range perSecond {
		if n > 120 {
			t.Errorf("%d attempts in second %d", n, second)
		}
	}
}
