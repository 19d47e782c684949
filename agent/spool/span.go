package spool

import (
	"slices"
	"sort"
)

// span is a run of positions without holes, both ends included.
type span struct{ first, last Pos }

// spans is a set of positions, in order; those that touch are one.
type spans []span

// add puts pos behind all others.
func (l *spans) add(pos Pos) {
	if n := len(*l); n > 0 && (*l)[n-1].last+1 == pos {
		(*l)[n-1].last = pos
		return
	}
	*l = append(*l, span{pos, pos})
}

// at is the index of the first span that ends at or behind pos.
func (l spans) at(pos Pos) int {
	return sort.Search(len(l), func(i int) bool { return l[i].last >= pos })
}

func (l spans) has(pos Pos) bool {
	i := l.at(pos)
	return i < len(l) && l[i].first <= pos
}

func (l spans) count() (n int64) {
	for _, r := range l {
		n += int64(r.last-r.first) + 1
	}
	return n
}

// insert puts the positions of r in, wherever that is.
func (l *spans) insert(r span) {
	all := *l
	if n := len(all); n == 0 || all[n-1].last < r.first-1 {
		*l = append(all, r)
		return
	}
	from := all.at(max(r.first, 1) - 1) // the first that r touches, or that lies behind it
	to := from
	for ; to < len(all) && all[to].first <= r.last+1; to++ {
		r = span{min(r.first, all[to].first), max(r.last, all[to].last)}
	}
	if from == to {
		all = append(all, span{})
		copy(all[from+1:], all[from:])
		to++
	}
	all[from] = r
	*l = append(all[:from+1], all[to:]...)
}

// within is what of r is in the set.
func (l spans) within(r span) (in spans) {
	for i := l.at(r.first); i < len(l) && l[i].first <= r.last; i++ {
		in = append(in, span{max(l[i].first, r.first), min(l[i].last, r.last)})
	}
	return in
}

// join puts in what is in both a and b.
func (l *spans) join(a, b spans) {
	for _, r := range b {
		for _, both := range a.within(r) {
			l.insert(both)
		}
	}
}

// index is how many positions of the set lie before pos.
func (l spans) index(pos Pos) (n int) {
	for _, r := range l {
		if r.first >= pos {
			break
		}
		n += int(min(r.last, pos-1)-r.first) + 1
	}
	return n
}

// remove takes the positions of r out, and returns how many were in.
func (l *spans) remove(r span) (n int64) {
	from := l.at(r.first)
	var rest []span
	to := from
	for ; to < len(*l) && (*l)[to].first <= r.last; to++ {
		have := (*l)[to]
		if have.first < r.first {
			rest = append(rest, span{have.first, r.first - 1})
		}
		if have.last > r.last {
			rest = append(rest, span{r.last + 1, have.last})
		}
		n += int64(min(have.last, r.last)-max(have.first, r.first)) + 1
	}
	if n > 0 {
		*l = append((*l)[:from], append(rest, (*l)[to:]...)...)
	}
	return n
}

// only leaves the positions that are in other too, and returns how many went.
func (l *spans) only(other spans) (n int64) {
	next := Pos(0)
	for _, r := range other {
		if r.first > next {
			n += l.remove(span{next, r.first - 1})
		}
		next = r.last + 1
	}
	return n + l.remove(span{next, ^Pos(0)})
}

// spansOf is the set of the given positions.
func spansOf(positions []Pos) (l spans) {
	sorted := slices.Clone(positions)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	for _, p := range slices.Compact(sorted) {
		l.add(p)
	}
	return l
}
