package demo

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// The story must fit in the time there is, hold a cut in its middle, and be silent for longer than the NAT remembers.
func TestScripts(t *testing.T) {
	for _, tt := range []struct {
		last    time.Duration
		again   bool
		silence bool
	}{
		{0, true, true}, {3 * time.Second, false, false}, {15 * time.Second, false, false}, {17 * time.Second, false, true},
		{18 * time.Second, false, true}, {28 * time.Second, false, true},
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
			if cut <= 0 || cut >= detectWithin || cut >= limitLeast {
				t.Errorf("cut for %v", cut)
			}
			if tt.silence != (silence > 0) || silence > 0 && silence-commandEarly <= limitMost {
				t.Errorf("silent for %v, the NAT forgets after %v", silence, limitMost)
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
			wait(ctx, s.last)
		})
		if got := fmt.Sprint(acts); got != "[0 1 0 1 0]" {
			t.Errorf("acts %s", got)
		}
	})
}

func TestBeatHoldsTheMapping(t *testing.T) {
	if beatLeast+2*natLatency >= limitLeast {
		t.Error("the NAT forgets the agent before it could learn anything")
	}
	if commandEvery >= limitLeast {
		t.Error("within a series the plain client would be forgotten between two commands: the silence before it should decide")
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

func TestPrinter(t *testing.T) {
	var out strings.Builder
	p := &printer{out: &out, start: time.Now()}
	p.say("frames", "%s", counter(Result{Sent: 120, Received: 118, Duplicated: 1}))
	p.text(table([][2]string{{"a", "1"}, {"longer", "2"}}))
	want := "  0.0s  frames    120 sent,  118 received, 0 lost, 1 twice\n  a       1\n  longer  2\n"
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
	if a, b := bar(time.Second), bar(limitMost); a != "▬▬▬▬" || utf8.RuneCountInString(b) != 36 {
		t.Errorf("bars %q and %q", a, b)
	}
}
