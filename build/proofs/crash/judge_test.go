package crash

import (
	"testing"
	"time"
)

// TestWeigh checks the judge itself: a judge that never says no proves nothing.
func TestWeigh(t *testing.T) {
	t0 := time.Unix(1_800_000_000, 0)
	at := func(s float64) time.Time { return t0.Add(time.Duration(s * float64(time.Second))) }
	lives := []life{{start: at(0), end: at(10), seen: map[string]int64{"meter": 3}}, {start: at(10.1), end: at(20), seen: map[string]int64{"meter": 2}}, {start: at(20.1), end: at(30)}}
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
				t.Errorf("short %d old %d holes %d lost %d, want %d %d %d %d\n%s %s %v", v.short, v.old, len(v.holes), sum(v.lostBy),
					tt.short, tt.old, tt.holes, tt.lost, v.shortNote, v.oldNote, v.holes)
			}
		})
	}
}
