package backoff

import (
	"strings"
	"testing"
	"time"
)

func TestMissing(t *testing.T) {
	var m Missing
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	seen := func(missing bool, fresh int, wantBegan, wantOver bool) {
		t.Helper()
		if began, over := m.Seen(now, missing, fresh); began != wantBegan || over != wantOver {
			t.Errorf("began %v, over %v", began, over)
		}
	}
	if seen(false, 0, false, false); m.Why("a") != "" || m.Over(now) != 0 {
		t.Fatal("something was missing before anything was")
	}
	seen(true, 2, true, false)
	seen(true, 1, false, false)
	if why := m.Why("mqtt://a"); !strings.Contains(why, "mqtt://a does not acknowledge some publishes: 3 since 12:00:00") {
		t.Error(why)
	}
	if wait := m.Wait(now); wait > 0 {
		t.Errorf("first after %v", wait)
	}
	for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute,
		10 * time.Minute, 10 * time.Minute} {
		m.Redialed(now)
		if wait := m.Wait(now); wait != want {
			t.Errorf("%v, want %v", wait, want)
		}
		now = now.Add(want)
		seen(true, 1, false, false)
	}
	now = now.Add(missingForget - 1)
	seen(false, 0, false, false)
	now = now.Add(1)
	seen(false, 0, false, true)
	seen(false, 0, false, false)
	if m.Redialed(now); m.Wait(now) != 30*time.Second {
		t.Errorf("not forgotten: %v", m.Wait(now))
	}
}
