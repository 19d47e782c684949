package backoff

import (
	"strings"
	"testing"
	"time"
)

func TestMissing(t *testing.T) {
	var m Missing
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	if m.Why("a") != "" || m.Settled(now) || !m.Over().IsZero() {
		t.Fatal("something was missing before anything was")
	}
	if !m.Seen(now, 2) || m.Seen(now, 1) {
		t.Fatal("news once")
	}
	if why := m.Why("mqtt://a"); !strings.Contains(why, "mqtt://a does not acknowledge some publishes: 3 since 12:00:00") {
		t.Error(why)
	}
	if at := m.At(now, false); !at.Equal(now) {
		t.Errorf("first after %v", at.Sub(now))
	}
	for _, want := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute,
		10 * time.Minute, 10 * time.Minute} {
		m.Redialed(now)
		if gap := m.At(now, false).Sub(now); gap != want {
			t.Errorf("%v, want %v", gap, want)
		}
		if !m.At(now, true).Equal(now) {
			t.Error("not at once")
		}
		now = now.Add(want)
		m.Seen(now, 1)
	}
	if m.Settled(now.Add(missingForget-1)) || !m.Settled(now.Add(missingForget)) || m.Settled(now.Add(missingForget)) {
		t.Error("over once, after a while")
	}
	m.Redialed(now)
	if gap := m.At(now, false).Sub(now); gap != 30*time.Second {
		t.Errorf("not forgotten: %v", gap)
	}
}
