package transport

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestRests(t *testing.T) {
	var r rests[string]
	all, now := []string{"a", "b", "c"}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := r.sorted(all, now); !slices.Equal(got, all) {
		t.Errorf("nothing failed: %v", got)
	}
	r.failed("a", now)
	r.failed("a", now)
	r.failed("b", now)
	if got := fmt.Sprint(r.sorted(all, now), r.until("a").Sub(now), r.until("b").Sub(now)); got != "[c b a] 1m0s 30s" {
		t.Error(got)
	}
	if got := r.sorted(all, now.Add(time.Minute)); !slices.Equal(got, all) {
		t.Errorf("rested: %v", got)
	}
	r.fine("a")
	if got := r.sorted(all, now); !slices.Equal(got, []string{"a", "c", "b"}) {
		t.Errorf("forgiven: %v", got)
	}
	for i := range 20 {
		r.failed("c", now.Add(time.Duration(i)))
	}
	if d := r.until("c").Sub(now); d > restsMax+time.Second {
		t.Errorf("rests for %v", d)
	}
}
