package heartbeat

import (
	"fmt"
	"testing"
	"time"
)

const (
	testFloor = 20 * time.Second
	testCap   = 1148 * time.Second
)

func searching(m Mode) SearchOptions { return SearchOptions{Mode: m, Floor: testFloor, Cap: testCap} }

// limits from 30 s to beyond the cap, evenly by their ratio.
func limits(ratio float64) []time.Duration {
	var all []time.Duration
	for l := 30 * time.Second; l < 1300*time.Second; l = time.Duration(float64(l) * ratio) {
		all = append(all, l)
	}
	return all
}

func TestProvenSoon(t *testing.T) {
	for _, c := range []struct {
		mode       Mode
		to80, to95 float64 // in limits
		dials      int
	}{
		{Fast, 2.4, 2.4, 40},
		{Thrifty, 5.3, 8.5, 16},
	} {
		for _, limit := range limits(1.0131) {
			goal := min(limit, testCap)
			m := simulate(searching(c.mode), limit, Knowledge{}, 16*goal)
			if got := m.until(0.8, goal); got > c.to80 {
				t.Errorf("%v, limit %v: 0.8 of it proven after %.2f limits, want %.2f", c.mode, limit, got, c.to80)
			}
			if got := m.until(0.95, goal); got > c.to95 {
				t.Errorf("%v, limit %v: 0.95 of it proven after %.2f limits, want %.2f", c.mode, limit, got, c.to95)
			}
			if safe := m.s.Safe(); !m.s.Settled() || safe > limit || safe < Share(goal, 1/fine)-3*lateTimer {
				t.Errorf("%v, limit %v: settled %v at %v", c.mode, limit, m.s.Settled(), safe)
			}
			if m.dials > c.dials {
				t.Errorf("%v, limit %v: %d connections", c.mode, limit, m.dials)
			}
		}
	}
}

func TestDocumentedLimitsComeFirst(t *testing.T) {
	for _, limit := range append(known(), 240*time.Second) {
		if got := simulate(searching(Fast), limit, Knowledge{}, 3*limit).until(0.9, limit); got > 1.2 {
			t.Errorf("%v: 0.9 of it proven after %.2f limits", limit, got)
		}
	}
}

func TestMemoryIsOnlyAHint(t *testing.T) {
	for _, mode := range []Mode{Fast, Thrifty} {
		for _, limit := range limits(1.11) {
			goal := min(limit, testCap)
			right := Knowledge{Proven: Share(goal, 1/1.01), Failing: Share(goal, 1.004)}
			if limit > testCap {
				right.Failing = 0
			}
			m := simulate(searching(mode), limit, right, 8*goal)
			if got := m.until(0.9, goal); got > 1.1 {
				t.Errorf("%v, limit %v remembered: 0.9 of it proven after %.2f limits", mode, limit, got)
			}
			if !m.s.Settled() {
				t.Errorf("%v, limit %v remembered: not settled at %v", mode, limit, m.s.Safe())
			}
			for _, wrong := range []float64{0.3, 0.6, 1.4, 3} {
				k := Knowledge{Proven: Share(limit, wrong), Failing: Share(limit, wrong*1.01)}
				if m := simulate(searching(mode), limit, k, 30*limit); !m.s.Settled() ||
					float64(m.s.Safe()) < 0.95*float64(goal) || m.s.Safe() > limit {
					t.Errorf("%v, limit %v remembered as %v: settled %v at %v", mode, limit, k.Proven, m.s.Settled(), m.s.Safe())
				}
			}
		}
	}
}

func TestAShrunkLimitIsSoughtBelow(t *testing.T) {
	limit := 100 * time.Second
	m := simulate(searching(Fast), limit, Knowledge{Proven: 300 * time.Second, Failing: 290 * time.Second}, 20*limit)
	if !m.s.Settled() || float64(m.s.Safe()) < 0.98*float64(limit) {
		t.Errorf("settled %v at %v", m.s.Settled(), m.s.Safe())
	}
}

func TestLimitsBelowTheFloorEndTheSearch(t *testing.T) {
	m := simulate(searching(Fast), 8*time.Second, Knowledge{}, time.Hour)
	if !m.s.Settled() || m.s.Safe() > 8*time.Second || m.tests > 60 {
		t.Errorf("settled %v at %v after %d tests", m.s.Settled(), m.s.Safe(), m.tests)
	}
}

// Growth: the limit rises after the search has settled, and is found again after a day.
func TestGrowth(t *testing.T) {
	limit := 100 * time.Second
	m := simulate(searching(Fast), limit, Knowledge{}, time.Hour)
	m.limit = 300 * time.Second
	start := m.now
	for m.now.Sub(start) < 26*time.Hour {
		for _, order := range m.s.Next(m.now) {
			m.carryOut(order)
		}
		if !m.advance() {
			t.Fatal("sleeps for ever")
		}
	}
	if float64(m.s.Safe()) < 0.95*300e9 {
		t.Errorf("a day later %v is proven", m.s.Safe())
	}
}

// A gap that one flow failed at serves nobody until three more survive it.
func TestOneLossBlocks(t *testing.T) {
	s := NewSearch(SearchOptions{Mode: Fast})
	now := time.Unix(0, 0)
	s.PathChanged(now, Knowledge{})
	orders := s.Next(now)
	prove := func(gap time.Duration, from, n int) {
		for _, o := range orders[from : from+n] {
			s.Armed(o.Flow, now)
			s.Delivered(o.Flow, gap, now)
		}
	}
	want := func(gap time.Duration) {
		t.Helper()
		if s.Safe() != gap {
			t.Errorf("safe is %v, want %v", s.Safe(), gap)
		}
	}
	prove(100*time.Second, 0, 2)
	want(0)
	prove(90*time.Second, 2, 1)
	want(90 * time.Second)
	s.Lost(orders[3].Flow, 80*time.Second, Evidence{MainAlive: true, SamePath: true})
	want(80*time.Second - 1)
	prove(100*time.Second, 4, 2)
	want(80*time.Second - 1)
	prove(85*time.Second, 6, 1)
	want(85 * time.Second)
	s.Lost(orders[7].Flow, 50*time.Second, Evidence{SamePath: true})
	s.Lost(orders[8].Flow, 50*time.Second, Evidence{MainAlive: true})
	want(85 * time.Second)
	s.PathChanged(now, s.Knowledge())
	want(0)
}

func ExampleSearch() {
	m := simulate(SearchOptions{Mode: Fast, Floor: 20 * time.Second}, 300*time.Second, Knowledge{}, time.Hour)
	failing, _ := m.s.Failing()
	fmt.Println(m.s.Safe().Round(time.Second), failing.Round(time.Second), m.s.Settled())
	// Output: 4m59s 5m1s true
}
