package spool

import (
	"fmt"
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
				stored += g.finish(r)
			}
		}
		stored += s.unevict(r)
		s.out.remove(r)
	}
	s.loose.join(s.inMeta, set)
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
	s.disk.unlink()
	return s.saveProgress()
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
		v := view{}
		if !g.waits.has(p) || s.load(&v, g) != nil || !g.waits.has(p) {
			continue
		}
		walk(v.content, p-1, func(r *record, _ location) bool {
			found, ok = *r, r.pos == p
			return false
		})
	}
	return found, ok
}
