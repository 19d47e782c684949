package operator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// What comes out of order within ten minutes is not missing; what does not come is told then, once.
func TestAHoleIsMissingOnlyAfterAWhile(t *testing.T) {
	for name, c := range map[string]struct {
		records string // "seq", "seq=from-to" for a gap record, or "+10m" for time that passes
		missing string
		open    int64
	}{
		"not yet":                           {"1 5 +9m", "", 3},
		"after a while":                     {"1 5 +10m", "2-4", 0},
		"filled by what waited":             {"1 100 +1m 2 3 4 +10m 101", "5-99", 0},
		"filled wholly":                     {"1 5 2 101 3 4 +9m", "", 95},
		"explained later":                   {"1 30 29=2-20 +10m", "21-28", 0},
		"explained across holes":            {"1 5 9 10=2-8 +10m", "", 0},
		"explained, and came all the same":  {"1 9 8=2-6 4 +10m", "7", 0},
		"two holes, each at its time":       {"1 3 +6m 5 +4m", "2", 1},
		"explained by a gap without an end": {"1 9 b1=4-0 +10m", "2-3", 0},
		"explained before it is a hole":     {"1 b1=4-0 9 +10m", "2-3", 0},
		"told once":                         {"1 3 +10m +10m 2", "2", 0},
		"beside what is read, out of order": {"1 50 2 51 3 52 4 53 +10m", "5-49", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []string
				f := follower{emit: func(it Item) error {
					if it.Hole != nil {
						got = append(got, strings.TrimSuffix(fmt.Sprintf("%d-%d", it.Hole.From, it.Hole.To),
							fmt.Sprintf("%d-%d", it.Hole.From, it.Hole.From)))
						if it.Hole.From == it.Hole.To {
							got[len(got)-1] = fmt.Sprint(it.Hole.From)
						}
					}
					return nil
				}}
				for _, word := range strings.Fields(c.records) {
					if d, err := time.ParseDuration(word); err == nil && word[0] == '+' {
						time.Sleep(d)
					} else {
						var r wire.Record
						seq, gap, isGap := strings.Cut(word, "=")
						r.Epoch = "a"
						later := ""
						if number, other := strings.CutPrefix(seq, "b"); other { // of the next epoch, about this one
							seq, r.Epoch, later = number, "b", "a"
						}
						_, _ = fmt.Sscan(seq, &r.Seq)
						if isGap {
							r.Gap = &wire.Gap{Reason: "restart", Epoch: later}
							_, _ = fmt.Sscanf(gap, "%d-%d", &r.Gap.From, &r.Gap.To)
						}
						if err := f.records(Item{Device: "gw", Name: "meter"}, []wire.Record{r}); err != nil {
							t.Fatal(err)
						}
					}
					if err := f.judge(time.Now()); err != nil {
						t.Fatal(err)
					}
				}
				if told := strings.Join(got, " "); told != c.missing || f.holes.still(&f.seen) != c.open {
					t.Errorf("%q are missing and %d open, want %q and %d", told, f.holes.still(&f.seen), c.missing, c.open)
				}
			})
		})
	}
}

// However many holes there are, few are remembered, and each is told.
func TestOpenHolesAreBounded(t *testing.T) {
	var h holes
	now, told := time.Now(), 0
	for i := range 3 * maxOpen {
		h.add(Item{Hole: &Hole{Range: Range{uint64(i), uint64(i)}}}, "gw/meter", now)
		told += len(h.due(now))
	}
	if len(h.open) != maxOpen || told != 2*maxOpen || !h.next().Equal(now.Add(Patience)) {
		t.Fatalf("%d open, %d told", len(h.open), told)
	}
	if due := h.due(now.Add(Patience)); len(due) != maxOpen || !slices.IsSortedFunc(due, func(a, b hole) int {
		return int(a.item.Hole.From) - int(b.item.Hole.From)
	}) {
		t.Fatalf("%d due", len(due))
	}
}
