package demo

import (
	"testing"
	"time"
)

// The limit is the seed's, lies within its bounds, and is spread over them.
func TestDrawLimit(t *testing.T) {
	drawn := map[time.Duration]bool{}
	least, most := limitMost, limitLeast
	for seed := uint64(1); seed <= 2000; seed++ {
		l := drawLimit(seed)
		if l < limitLeast || l > limitMost || l%limitStep != 0 || l != drawLimit(seed) {
			t.Fatalf("seed %d: %v", seed, l)
		}
		drawn[l], least, most = true, min(least, l), max(most, l)
	}
	if len(drawn) < 300 || least > limitLeast+limitStep*5 || most < limitMost-limitStep*5 {
		t.Errorf("%d different limits from %v to %v", len(drawn), least, most)
	}
	for range 1000 {
		if s := drawSeed(); s == 0 || s > maxSeed {
			t.Fatalf("seed %d", s)
		}
	}
}
