package heartbeat

import (
	"testing"
	"time"
)

// TestSettlesAtAnyCap wants an end on a path without a limit, also where a late timer is a good part of the cap.
func TestSettlesAtAnyCap(t *testing.T) {
	for _, mode := range []Mode{Fast, Thrifty} {
		for top := 1500 * time.Millisecond; top < 20*time.Minute; top = top * 107 / 100 {
			o := SearchOptions{Mode: mode, Floor: time.Second, Cap: top}
			if m := simulate(o, time.Hour, Knowledge{}, 40*top); !m.s.Settled() || m.s.Safe() < top-lateTimer {
				t.Errorf("%v, cap %v: settled %v at %v after %d tests", mode, top, m.s.Settled(), m.s.Safe(), m.tests)
			}
		}
	}
}
