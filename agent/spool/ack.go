package spool

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// Ack says that the records at positions are acknowledged, in any order: they wait no more, whatever lies before them. What
// is unknown, or done with already, is passed over.
func (s *Spool) Ack(positions ...Pos) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finish(spansOf(positions), &s.count.Acked)
}

// Commit says that everything up to and including through is acknowledged.
func (s *Spool) Commit(through Pos) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if through <= s.cursor {
		return nil
	}
	return s.finish(spans{{s.cursor + 1, through}}, &s.count.Acked)
}

// Poison gives up on the record at p, which can never be published. Its number is marked as lost, with ReasonPoison; but the
// mark of a gap that cannot be published leaves no other mark, or there would be no end to it.
func (s *Spool) Poison(p Pos) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.find(p); ok && r.gap == nil {
		s.lose(r.stream, gap{r.seq, r.seq, r.epoch, reasonCode(ReasonPoison)})
		if s.disk.waiting() > 0 {
			_ = s.saveMeta(false) // before the cursor says that it is done with
		}
	}
	return s.finish(spans{{p, p}}, &s.count.Poison)
}

// finish takes positions out of what waits, and counts them. When some of them are on disk, that is noted there.
func (s *Spool) finish(set spans, counter *int64) error {
	if n := len(set); n == 0 {
		return nil
	} else if set[n-1].last > s.pos {
		return fmt.Errorf("position %d is done with, but the last is %d", set[n-1].last, s.pos)
	}
	stored := int64(0)
	for _, r := range set {
		for _, g := range s.disk.segments {
			if g.first <= r.last && g.last >= r.first {
				stored += g.waits.remove(r)
			}
		}
		stored += s.unevict(r)
	}
	done := stored + s.removeTail(set)
	if done == 0 {
		return nil
	}
	*counter += done
	s.doneTo = max(s.doneTo, set[len(set)-1].last)
	s.advance()
	if stored == 0 {
		return nil
	}
	err := s.disk.saveCursor(s.cursor, s.appendRuns(nil))
	s.disk.unlink()
	return err
}

// removeTail takes positions out of memory. What stays in front of them moves up: that is what gathers or is in flight, and
// little, while what lies behind them may be much.
func (s *Spool) removeTail(set spans) (n int64) {
	to := s.tailIndex(set[len(set)-1].last + 1)
	keep := to
	for i := to - 1; i >= 0; i-- {
		r := s.tail[i]
		if set.has(r.pos) {
			s.tailBytes -= r.size()
			s.marksOld = s.marksOld || r.gap != nil
			n++
			continue
		}
		keep--
		s.tail[keep] = r
	}
	clear(s.tail[:keep])
	s.tail = s.tail[keep:]
	return n
}

// advance moves the cursor up to the first record that waits.
func (s *Spool) advance() {
	first := s.pos + 1
	if len(s.pendingEvicts) > 0 {
		first = min(first, s.pendingEvicts[0].pos)
	}
	if len(s.tail) > 0 {
		first = min(first, s.tail[0].pos)
	}
	for _, g := range s.disk.segments {
		if len(g.waits) > 0 {
			first = min(first, g.waits[0].first)
			break
		}
	}
	s.cursor = max(s.cursor, first-1)
}

// find is the record that waits at p, if the disk gives it back.
func (s *Spool) find(p Pos) (found record, ok bool) {
	if i, in := s.pendingEvictIndex(p); in {
		return s.pendingEvicts[i].record, true
	}
	if i := s.tailIndex(p); i < len(s.tail) && s.tail[i].pos == p {
		return s.tail[i], true
	}
	for _, g := range s.disk.segments {
		if !g.waits.has(p) || s.view(g) != nil || !g.waits.has(p) {
			continue
		}
		walk(s.disk.content, p-1, func(r *record, _ location) bool {
			found, ok = *r, r.pos == p
			return false
		})
	}
	return found, ok
}

// waitingRuns are the positions that wait up to and including through, in order.
func (s *Spool) waitingRuns(through Pos) (runs spans) {
	var all []span
	for i := 0; i < len(s.pendingEvicts) && s.pendingEvicts[i].pos <= through; i++ {
		all = append(all, span{s.pendingEvicts[i].pos, s.pendingEvicts[i].pos})
	}
	for _, g := range s.disk.segments {
		for i := 0; i < len(g.waits) && g.waits[i].first <= through; i++ {
			all = append(all, g.waits[i])
		}
	}
	for i := 0; i < len(s.tail) && s.tail[i].pos <= through; i++ {
		all = append(all, span{s.tail[i].pos, s.tail[i].pos})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].first < all[j].first })
	for _, r := range all {
		if n := len(runs); n > 0 && runs[n-1].last+1 == r.first {
			runs[n-1].last = r.last
			continue
		}
		runs = append(runs, r)
	}
	return runs
}

// appendRuns adds what is done with behind the cursor, as it stands in a slot of the cursor file: lengths of runs, of records
// that wait and of such that do not, in turn.
func (s *Spool) appendRuns(dst []byte) []byte {
	if s.doneTo <= s.cursor {
		return dst
	}
	runs := s.waitingRuns(s.doneTo)
	for i, r := range runs {
		next := s.doneTo + 1
		if i+1 < len(runs) {
			next = runs[i+1].first
		}
		if r.last >= s.doneTo {
			break
		}
		pair := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(r.last-r.first)+1), uint64(next-r.last)-1)
		if len(dst)+len(pair) > maxRuns {
			break // what lies further behind would come again after a kill: README.md, Limits
		}
		dst = append(dst, pair...)
	}
	return dst
}

// parseRuns is appendRuns backwards: the positions behind the cursor that are done with.
func parseRuns(cursor Pos, p []byte) (done spans) {
	at := cursor
	for len(p) > 0 {
		waits, n := binary.Uvarint(p)
		if n <= 0 {
			return done
		}
		gone, m := binary.Uvarint(p[n:])
		if m <= 0 || waits == 0 || gone == 0 || at+Pos(waits) < at || at+Pos(waits)+Pos(gone) < at+Pos(waits) {
			return done
		}
		first := at + Pos(waits) + 1
		at = first + Pos(gone) - 1
		done = append(done, span{first, at})
		p = p[n+m:]
	}
	return done
}
