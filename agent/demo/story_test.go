package demo

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The story must fit in the time there is, hold a cut in its middle, and be silent for longer than the NAT remembers.
func TestScripts(t *testing.T) {
	for _, tt := range []struct {
		last    time.Duration
		again   bool
		silence bool
	}{
		{0, true, true}, {3 * time.Second, false, false}, {16 * time.Second, false, false}, {17 * time.Second, false, true},
		{45 * time.Second, false, true}, {10 * time.Minute, true, true},
	} {
		t.Run(fmt.Sprint(tt.last), func(t *testing.T) {
			scenes, again := script(tt.last)
			if again != tt.again {
				t.Errorf("again: %v", again)
			}
			var total, silence, cut time.Duration
			for _, s := range scenes {
				total += s.last
				switch s.act {
				case actQuiet:
					silence = s.last
				case actCut:
					cut = s.last
				}
			}
			if tt.last > 0 && total >= tt.last && !again {
				t.Errorf("scenes take %v of %v", total, tt.last)
			}
			if cut <= 0 || cut >= detectWithin || cut >= natIdle {
				t.Errorf("cut for %v", cut)
			}
			if tt.silence != (silence > 0) || silence > 0 && silence <= natIdle {
				t.Errorf("silent for %v, the NAT forgets after %v", silence, natIdle)
			}
		})
	}
}

func TestPerform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		var acts []act
		perform(ctx, []scene{{actPlay, 3 * time.Second}, {actQuiet, time.Second}}, true, func(ctx context.Context, s scene) {
			acts = append(acts, s.act)
			rest(ctx, s.last)
		})
		if got := fmt.Sprint(acts); got != "[0 1 0 1 0]" {
			t.Errorf("acts %s", got)
		}
	})
}

func TestBeatHoldsTheMapping(t *testing.T) {
	if beatInterval+2*natLatency >= natIdle {
		t.Error("the figures of the demo contradict each other")
	}
}

func TestRecordingIsNMEA(t *testing.T) {
	all := lines(recording)
	if len(all) < 200 {
		t.Fatalf("%d lines", len(all))
	}
	for _, line := range all {
		if line[0] != '$' || bytes.ContainsAny(line, "\r\n") {
			t.Errorf("line %q", line)
		}
	}
}

func TestPrinterGathersFrames(t *testing.T) {
	var out strings.Builder
	p := &printer{out: &out, start: time.Now()}
	p.frame(1, "one")
	p.frame(2, strings.Repeat("x", 100))
	p.say("nat", "CUT")
	p.tick()
	want := "  0.0s  broker    2 frames, the last #2 " + strings.Repeat("x", lineWidth) + "…\n  0.0s  nat     CUT\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}
