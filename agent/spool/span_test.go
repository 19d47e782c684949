package spool

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A set of spans is a set: whatever was put in and taken out, it agrees with a map.
func TestSpansAreASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		model := map[Pos]bool{}
		var l spans
		for p := Pos(1); p <= 60; p++ {
			if rapid.Bool().Draw(t, "in") {
				l.add(p)
				model[p] = true
			}
		}
		agree := func() {
			var want []Pos
			for p := Pos(0); p <= 61; p++ {
				if l.has(p) != model[p] {
					t.Fatalf("%d: %v in %v", p, l.has(p), l)
				}
				if model[p] {
					want = append(want, p)
				}
			}
			if l.count() != int64(len(want)) || !slices.Equal(l, spansOf(want)) {
				t.Fatalf("%v, want %v", l, spansOf(want))
			}
		}
		agree()
		for range 5 {
			first := rapid.Uint64Range(0, 61).Draw(t, "first")
			r := span{Pos(first), Pos(rapid.Uint64Range(first, 61).Draw(t, "last"))}
			n := int64(0)
			for p := r.first; p <= r.last; p++ {
				if model[p] {
					n++
				}
				delete(model, p)
			}
			if got := l.remove(r); got != n {
				t.Fatalf("%d removed, want %d", got, n)
			}
			agree()
		}
		var other []Pos
		for p := range model {
			if rapid.Bool().Draw(t, "keep") {
				other = append(other, p)
			} else {
				delete(model, p)
			}
		}
		before := l.count()
		if got := l.only(spansOf(other)); got != before-int64(len(model)) {
			t.Fatalf("%d went", got)
		}
		agree()
	})
}
