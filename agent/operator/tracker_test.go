package operator_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/wire"
	"pgregory.net/rapid"
)

// parse reads "epoch:seq" or "epoch:seq=from-to" (a gap record).
func parse(t *testing.T, s string) (r wire.Record) {
	t.Helper()
	name, gap, isGap := strings.Cut(s, "=")
	epoch, seq, _ := strings.Cut(name, ":")
	r.Epoch = epoch
	if _, err := fmt.Sscan(seq, &r.Seq); err != nil {
		t.Fatalf("record %q: %v", s, err)
	}
	if isGap {
		r.Gap = &wire.Gap{Reason: "full"}
		if _, err := fmt.Sscanf(gap, "%d-%d", &r.Gap.From, &r.Gap.To); err != nil {
			t.Fatalf("gap %q: %v", s, err)
		}
	}
	return r
}

func TestTracker(t *testing.T) {
	for _, tt := range []struct {
		name, records, want string // want: one of . (new), d (duplicate), or the holes before it
		counts              operator.Counts
	}{
		{"in order", "a:1 a:2 a:3", ". . .", operator.Counts{Frames: 3}},
		{"joined in the middle", "a:17 a:18", ". .", operator.Counts{Frames: 2}},
		{"repeated", "a:1 a:2 a:1 a:2 a:3", ". . d d .", operator.Counts{Frames: 3, Duplicates: 2}},
		{"from before we joined, then repeated", "a:17 a:16 a:16", ". . d", operator.Counts{Frames: 2, Duplicates: 1}},
		{"a hole", "a:1 a:5", ". 2-4", operator.Counts{Frames: 2, Holes: 3}},
		{"a hole that is filled later", "a:1 a:5 a:3 a:3", ". 2-4 . d", operator.Counts{Frames: 3, Holes: 2, Duplicates: 1}},
		{"a gap record explains what is missing", "a:16 a:41=17-40 a:42", ". . .", operator.Counts{Frames: 2, Gaps: 1, Lost: 24}},
		{"a gap record explains a part", "a:1 a:10=4-6", ". 2-3,7-9", operator.Counts{Frames: 1, Gaps: 1, Lost: 3, Holes: 5}},
		{"a repeated gap record counts once", "a:1 a:5=2-4 a:5=2-4", ". . d",
			operator.Counts{Frames: 1, Gaps: 1, Lost: 3, Duplicates: 1}},
		{"a new epoch begins at 1", "a:1 a:2 b:1 b:2", ". . . .", operator.Counts{Frames: 4}},
		{"a new epoch that begins later has a hole", "a:1 b:3", ". 1-2", operator.Counts{Frames: 2, Holes: 2}},
		{"numbers of an old epoch are still known", "a:1 b:1 a:1 a:2", ". . d .", operator.Counts{Frames: 3, Duplicates: 1}},
		{"the last number of all", "a:1 a:18446744073709551615 a:18446744073709551615 a:2 a:1", ". 2-18446744073709551614 d . d",
			operator.Counts{Frames: 3, Holes: math.MaxInt64 - 1, Duplicates: 2}},
		{"joined at the last number", "a:18446744073709551615 a:18446744073709551615 a:5 a:5", ". d . d",
			operator.Counts{Frames: 2, Duplicates: 2}},
		{"all numbers are lost, again and again", "a:1 a:2=0-18446744073709551615 a:3=1-18446744073709551615 a:4=7-7", ". . . .",
			operator.Counts{Frames: 1, Gaps: 3, Lost: math.MaxInt64}},
		{"all numbers are missing, in epoch after epoch", "a:1 b:18446744073709551615 c:18446744073709551615",
			". 1-18446744073709551614 1-18446744073709551614", operator.Counts{Frames: 3, Holes: math.MaxInt64}},
		{"a gap that goes backwards", "a:1 a:5=9-3", ". 2-4", operator.Counts{Frames: 1, Gaps: 1, Holes: 3}},
		{"a gap of unknown end", "a:1 b:1=2-0", ". .", operator.Counts{Frames: 1, Gaps: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var tracker operator.Tracker
			var got []string
			for _, s := range strings.Fields(tt.records) {
				got = append(got, mark(tracker.See("gw/meter", parse(t, s))))
			}
			if g := strings.Join(got, " "); g != tt.want || tracker.Counts() != tt.counts {
				t.Errorf("%s: got %s %+v, want %s %+v", tt.records, g, tracker.Counts(), tt.want, tt.counts)
			}
		})
	}
}

func mark(s operator.Seen) string {
	if s.Duplicate {
		return "d"
	}
	if len(s.Holes) == 0 {
		return "."
	}
	var holes []string
	for _, h := range s.Holes {
		holes = append(holes, fmt.Sprintf("%d-%d", h.From, h.To))
	}
	return strings.Join(holes, ",")
}

func TestStreamsAreApart(t *testing.T) {
	var tracker operator.Tracker
	for _, name := range []string{"gw/a", "gw/b", "other/a"} {
		if got := mark(tracker.See(name, parse(t, "a:1"))); got != "." {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// However records are lost, repeated and reordered, each number is shown once, and holes are what is missing in the end.
func TestEachNumberOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOf(rapid.Uint64Range(1, 60)).Draw(t, "numbers")
		var tracker operator.Tracker
		shown := map[uint64]bool{}
		first, highest := uint64(0), uint64(0)
		for _, n := range numbers {
			if first == 0 {
				first = n
			}
			highest = max(highest, n)
			if seen := tracker.See("gw/meter", wire.Record{Epoch: "a", Seq: n}); seen.Duplicate != shown[n] {
				t.Fatalf("number %d: duplicate %v, shown before: %v", n, seen.Duplicate, shown[n])
			}
			shown[n] = true
		}
		var holes int64
		for n := first; n <= highest && first > 0; n++ {
			if !shown[n] {
				holes++
			}
		}
		if c := tracker.Counts(); c.Holes != holes || c.Frames != int64(len(shown)) ||
			c.Frames+c.Duplicates != int64(len(numbers)) {
			t.Fatalf("counts %+v, want %d holes and %d frames", c, holes, len(shown))
		}
	})
}
