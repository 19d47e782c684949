package crash

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// TestWeigh checks the judge itself: a judge that never says no proves nothing.
func TestWeigh(t *testing.T) {
	t0 := time.Unix(1_800_000_000, 0)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	lives := []life{{start: at(0), end: at(10), seen: map[string]int64{"meter": 3}},
		{start: at(10.1), end: at(20), seen: map[string]int64{"meter": 2}}, {start: at(20.1), end: at(30)}}
	wrote := []time.Time{at(1), at(2), at(9.9), at(11), at(12), at(21)} // frames 1 to 6
	tests := []struct {
		name                    string
		writeAfter              string
		lifeOf                  map[int]int
		short, old, holes, lost int
	}{
		{"all came", "0s", map[int]int{1: 0, 2: 0, 3: 0, 4: 1, 5: 1, 6: 2}, 0, 0, 0, 0},
		{"accepted and lost", "0s", map[int]int{1: 0, 2: 0, 4: 1, 5: 1, 6: 2}, 1, 0, 0, 1},
		{"old and lost", "0s", map[int]int{1: 0, 4: 1, 5: 1, 6: 2}, 2, 1, 0, 2},
		{"the defaults allow the young", "", map[int]int{1: 0, 2: 0, 4: 1, 5: 1, 6: 2}, 1, 0, 0, 1},
		{"the defaults forbid the old", "", map[int]int{1: 0, 4: 1, 5: 1, 6: 2}, 2, 1, 0, 2},
		{"missing in the middle of a life", "0s", map[int]int{1: 0, 3: 0, 4: 1, 5: 1, 6: 2}, 1, 0, 1, 0},
		{"missing at the orderly end", "0s", map[int]int{1: 0, 2: 0, 3: 0, 4: 1, 5: 1}, 0, 0, 1, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &run{o: Options{WriteAfter: tt.writeAfter}, lives: lives}
			v := &verdict{lifeOf: tt.lifeOf, came: make([]int, 3), lostBy: make([]int, 3)}
			for _, i := range tt.lifeOf {
				v.came[i]++
			}
			r.weigh(v, "meter", wrote)
			if v.short != tt.short || v.old != tt.old || len(v.holes) != tt.holes || sum(v.lostBy) != tt.lost {
				t.Errorf("short %d old %d holes %d lost %d, want %d %d %d %d\n%s %s %v", v.short, v.old, len(v.holes),
					sum(v.lostBy), tt.short, tt.old, tt.holes, tt.lost, v.shortNote, v.oldNote, v.holes)
			}
		})
	}
}

// The agent counts the tail of a frame that its last life took along as the line that it is.
func TestEnterCountsTornTailsAsTheAgentDoes(t *testing.T) {
	t0 := time.Unix(1_800_000_000, 0)
	r := &run{o: Options{WriteAfter: "0s"}, lives: []life{
		{start: t0, end: t0.Add(10 * time.Second), seen: map[string]int64{"meter": 1}},
		{start: t0.Add(11 * time.Second), end: t0.Add(20 * time.Second), seen: map[string]int64{"meter": 2}},
	}}
	frame := func(text string, s int) kit.Frame {
		return kit.Frame{Text: &text, TS: t0.Add(time.Duration(s) * time.Second).UnixMilli()}
	}
	second := string(kit.NumberedFrame(2, 100))
	for name, c := range map[string]struct {
		frames      []kit.Frame
		torn, short int
	}{
		"the tail came": {[]kit.Frame{frame(string(kit.NumberedFrame(1, 100)), 1), frame(second[40:], 12),
			frame(string(kit.NumberedFrame(3, 100)), 13)}, 1, 0},
		"the tail came, but a frame did not": {[]kit.Frame{frame(string(kit.NumberedFrame(1, 100)), 1), frame(second[40:], 12)},
			1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			v := &verdict{lifeOf: map[int]int{}, came: make([]int, 2), lostBy: make([]int, 2)}
			for _, f := range c.frames {
				if err := r.enter(v, f); err != nil {
					t.Fatal(err)
				}
			}
			if r.weigh(v, "meter", nil); v.torn != c.torn || v.short != c.short {
				t.Errorf("torn %d, short %d; want %d, %d: %s", v.torn, v.short, c.torn, c.short, v.shortNote)
			}
		})
	}
}
