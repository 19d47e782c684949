package demo

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestOutcomeIsJudged(t *testing.T) {
	whole, short := Result{Sent: 3, Received: 3}, Result{Sent: 3, Received: 2, Lost: 1}
	for _, tt := range []struct {
		name            string
		o               Outcome
		lasted          time.Duration
		lost, notProven bool
	}{
		{"as it should be", Outcome{LimitS: 5, ProvenS: 4.6, Frames: whole}, JudgedFrom, false, false},
		{"just enough", Outcome{LimitS: 5, ProvenS: 4.5, Frames: whole}, time.Hour, false, false},
		{"too little", Outcome{LimitS: 5, ProvenS: 4.4, Frames: whole}, JudgedFrom, false, true},
		{"too little, and too early to say", Outcome{LimitS: 5, ProvenS: 2, Frames: whole}, JudgedFrom - time.Second,
			false, false},
		{"more than there is", Outcome{LimitS: 5, ProvenS: 5.1, Frames: whole}, 10 * time.Second, false, true},
		{"a frame lost", Outcome{LimitS: 5, ProvenS: 4.9, Frames: short}, 10 * time.Second, true, false},
		{"both", Outcome{LimitS: 5, ProvenS: 1, Frames: short}, JudgedFrom, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.o.Err(tt.lasted)
			if errors.Is(err, ErrLost) != tt.lost || errors.Is(err, ErrUnproven) != tt.notProven {
				t.Errorf("%v", err)
			}
		})
	}
}

// The table shows what the demo is about: the limit and its seed, what was proven and when, commands of both, the frames.
func TestTableOfAnOutcome(t *testing.T) {
	o := Outcome{Seed: 7, LimitS: 6.15, ProvenS: 5.95, GoalAfterS: 17.9, BeatS: 4.9, CutS: 3,
		Agent: Reached{7, 7}, Plain: Reached{7, 1}, Frames: Result{Sent: 300, Received: 300}}
	got := table(rows(o))
	for _, want := range []string{"6.15 s", "--seed 7", "5.95 s, 97 % of it; 90 % after 17.9 s",
		"7 of 7 arrived, 0 lost", "1 of 7 arrived, 6 lost", "300 sent, 300 received, 0 lost, 0 twice", "3.0 s"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if got := table(rows(Outcome{})); !strings.Contains(got, "none sent") {
		t.Errorf("no commands:\n%s", got)
	}
}

func TestProgress(t *testing.T) {
	const s = time.Second
	p := progress{limit: 5 * s}
	for _, tt := range []struct {
		beat, proven, at time.Duration
		print            bool
	}{
		{s, 0, s, true}, {s, s, 2 * s, false}, {s + stepShown/2, 2 * s, 3 * s, false}, {3 * s, 4 * s, 10 * s, true},
		{7 * s / 2, 9 * s / 2, 14 * s, true}, {4 * s, 49 * s / 10, 15 * s, true}, {s, 0, 20 * s, true}, // a new path begins again
	} {
		if got := p.saw(tt.beat, tt.proven, tt.at); got != tt.print {
			t.Errorf("%+v: print %v", tt, got)
		}
	}
	if p.proven != 49*s/10 || p.beat != 4*s || p.goalAt != 14*s {
		t.Errorf("%+v", p)
	}
}
