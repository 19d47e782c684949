package netdial

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
)

func TestCooldownSortsLast(t *testing.T) {
	var r Cooldown[string]
	all, now := []string{"a", "b", "c"}, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := r.sort(all, now); !slices.Equal(got, all) {
		t.Errorf("nothing failed: %v", got)
	}
	r.Fail("a", now)
	r.Fail("a", now)
	r.Fail("b", now)
	if got := fmt.Sprint(r.sort(all, now), r.Until("a").Sub(now), r.Until("b").Sub(now)); got != "[c b a] 1m0s 30s" {
		t.Error(got)
	}
	if got := r.sort(all, now.Add(time.Minute)); !slices.Equal(got, all) {
		t.Errorf("rested: %v", got)
	}
	r.Clear("a")
	if got := r.sort(all, now); !slices.Equal(got, []string{"a", "c", "b"}) {
		t.Errorf("forgiven: %v", got)
	}
	for i := range 20 {
		r.Fail("c", now.Add(time.Duration(i)))
	}
	if d := r.Until("c").Sub(now); d > faults.CooldownMax+time.Second {
		t.Errorf("rests for %v", d)
	}
}
