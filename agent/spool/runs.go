package spool

import (
	"encoding/binary"
	"sort"
)

// queue is everything of a spool that waits, by where it is: in each, and from one to the next, positions grow; those of evicted
// may lie anywhere.
type queue struct {
	segments []*segment
	tail     []record
	evicted  []pendingEvict
}

// next is the first position behind pos that waits; everything: none does.
func (q queue) next(pos Pos) Pos {
	first := everything
	if i := sort.Search(len(q.tail), func(i int) bool { return q.tail[i].pos > pos }); i < len(q.tail) {
		first = q.tail[i].pos
	}
	if i := sort.Search(len(q.evicted), func(i int) bool { return q.evicted[i].pos > pos }); i < len(q.evicted) {
		first = min(first, q.evicted[i].pos)
	}
	for _, g := range q.segments[q.segment(pos+1):] {
		if i := g.waits.at(pos + 1); i < len(g.waits) {
			return min(first, max(g.waits[i].first, pos+1))
		}
	}
	return first
}

// segment is the index of the first segment that ends at or behind pos.
func (q queue) segment(pos Pos) int {
	return sort.Search(len(q.segments), func(i int) bool {
		return q.segments[i].last >= pos || q.segments[i].last == 0 // a new one is the last
	})
}

// before is the last position before pos that waits; 0: none does.
func (q queue) before(pos Pos) (last Pos) {
	if i := sort.Search(len(q.tail), func(i int) bool { return q.tail[i].pos >= pos }); i > 0 {
		last = q.tail[i-1].pos
	}
	if i := sort.Search(len(q.evicted), func(i int) bool { return q.evicted[i].pos >= pos }); i > 0 {
		last = max(last, q.evicted[i-1].pos)
	}
	for n := min(q.segment(pos), len(q.segments)-1); n >= 0; n-- {
		waits := q.segments[n].waits
		i := waits.at(pos)
		if i < len(waits) && waits[i].first < pos {
			return max(last, pos-1)
		}
		if i > 0 {
			return max(last, waits[i-1].last)
		}
	}
	return last
}

// appendRuns adds what is done with behind base, up to doneTo, as it stands in the cursor file: lengths of runs, of records that
// wait and of such that do not, in turn. done must be told; what is neither in it nor in q is told where that costs nothing: it
// is not on disk, or a .done file has it. False: not all of it fits into limit bytes.
func appendRuns(dst []byte, base Pos, q queue, done spans, doneTo Pos, limit int) ([]byte, bool) {
	at := base
	for _, d := range done {
		if d.last <= at {
			continue
		}
		from := max(q.before(d.first), at) + 1
		to := max(min(q.next(d.last)-1, doneTo), d.last)
		pair := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(from-1-at)), uint64(to-from)+1)
		if len(dst)+len(pair) > limit {
			return dst, false
		}
		dst, at = append(dst, pair...), to
	}
	return dst, true
}

// parseRuns is appendRuns backwards: the positions behind base that are done with. False: there is something that is no run.
func parseRuns(base Pos, p []byte) (done spans, ok bool) {
	at := base
	for len(p) > 0 {
		waits, n := binary.Uvarint(p)
		if n <= 0 {
			return done, false
		}
		gone, m := binary.Uvarint(p[n:])
		if m <= 0 || gone == 0 || waits == 0 && at != base || at+Pos(waits) < at || at+Pos(waits)+Pos(gone) < at+Pos(waits) {
			return done, false
		}
		first := at + Pos(waits) + 1
		at = first + Pos(gone) - 1
		done = append(done, span{first, at})
		p = p[n+m:]
	}
	return done, true
}
