package heartbeat

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever the order of proofs, losses, voids, epochs and remembered values: Safe never exceeds what three flows proved inbound
// in the present epoch, nothing that was asked for is a flow that is not there, and never are there more flows than allowed.
func TestSafeIsProven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := SearchOptions{Mode: rapid.SampledFrom([]Mode{Fast, Thrifty}).Draw(t, "mode"), Floor: time.Second,
			Cap: 20 * time.Minute}
		s := NewSearch(o)
		now := time.Unix(1_800_000_000, 0)
		var proven map[int]time.Duration
		var open map[int]time.Time // by flow: since; zero: speaks
		epoch := func() {
			s.PathChanged(now.Add(seconds(rapid.Float64Range(0, 100).Draw(t, "after"))[0]), Knowledge{
				Proven:  time.Duration(rapid.Int64Range(0, 3600e9).Draw(t, "remembered")),
				Failing: time.Duration(rapid.Int64Range(0, 3600e9).Draw(t, "failing")),
			})
			proven, open = map[int]time.Duration{}, map[int]time.Time{}
		}
		epoch()
		pick := func() (int, bool) {
			var ids []int
			for id := range open {
				ids = append(ids, id)
			}
			slices.Sort(ids)
			if len(ids) == 0 {
				return 0, false
			}
			return rapid.SampledFrom(ids).Draw(t, "flow"), true
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch id, ok := pick(); rapid.IntRange(0, 6).Draw(t, "what") {
			case 0:
				epoch()
			case 1, 2:
				if ok {
					s.Armed(id, now)
					open[id] = now
				}
			case 3:
				if since := open[id]; ok && !since.IsZero() {
					gap := now.Sub(since)
					s.Delivered(id, gap, now)
					proven[id] = max(proven[id], gap)
					open[id] = time.Time{}
				}
			case 4:
				if since := open[id]; ok && !since.IsZero() {
					s.Lost(id, now.Sub(since), Evidence{Took: time.Duration(rapid.IntRange(0, 3000).Draw(t, "took")) *
						time.Millisecond, MainAlive: rapid.Bool().Draw(t, "alive"), SamePath: rapid.Bool().Draw(t, "same")})
					delete(open, id)
				}
			case 5:
				if ok {
					s.Gone(id)
					delete(open, id)
				}
			case 6:
				s.Canary(time.Duration(rapid.Int64Range(0, 900e9).Draw(t, "canary")))
			}
			for _, order := range s.Next(now) {
				_, known := open[order.Flow]
				switch {
				case order.Verb == Open && !known:
					open[order.Flow] = time.Time{}
				case order.Verb == Open, !known:
					t.Fatalf("order %+v, open %v", order, open)
				case order.Verb == Close:
					delete(open, order.Flow)
				}
			}
			if n := s.Open(); n != len(open) || n > fastMost+proofs+200 {
				t.Fatalf("%d flows, %d open", n, len(open))
			}
			var best []time.Duration
			for _, gap := range proven {
				best = append(best, gap)
			}
			slices.Sort(best)
			limit := time.Duration(0)
			if len(best) >= proofs {
				limit = best[len(best)-proofs]
			}
			if s.Safe() > limit {
				t.Fatalf("safe %v, three flows proved %v", s.Safe(), limit)
			}
			if wake := s.Wake(now); !wake.IsZero() && rapid.Bool().Draw(t, "sleep") {
				now = Later(now, wake)
			} else {
				now = now.Add(time.Duration(rapid.Int64Range(0, 400e9).Draw(t, "pass")))
			}
		}
	})
}
