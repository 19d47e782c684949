package spool

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// maxGaps bounds the gaps of one stream that wait to be marked. Gaps that touch are one, so it takes as many unclean stops, or
// as many islands between losses, to get there.
const maxGaps = 256

// lose notes that numbers of a stream are lost. They are marked in the stream when somebody reads it; until then gaps that
// touch are one, with the reason of the first.
func (s *Spool) lose(stream string, g gap) {
	waiting := s.gaps[stream]
	for i := range waiting {
		w := &waiting[i]
		switch {
		case w.epoch != g.epoch:
		case w.from <= g.from && (w.to == 0 || g.to != 0 && g.to <= w.to):
			return // rot in an old segment is found by every start
		case w.to != 0 && g.to != 0 && g.from <= w.to+1 && w.from <= g.to+1:
			w.from, w.to = min(w.from, g.from), max(w.to, g.to)
			s.metaOld = true
			return
		}
	}
	if len(waiting) >= maxGaps {
		waiting = waiting[1:] // its reader sees the hole, and no reason for it
	}
	s.gaps[stream] = append(waiting, g)
	s.metaOld = true
	s.signal()
}

// loseRecord is lose for a record that was accepted. A mark of a gap that is lost itself is made again.
func (s *Spool) loseRecord(r *record, why Reason) {
	if r.gap != nil {
		s.lose(r.stream, *r.gap)
	}
	s.lose(r.stream, gap{r.seq, r.seq, r.epoch, reasonCode(why)})
}

// markGaps appends the marks that wait, but none in a stream that passes: there they go on to be one while they touch. They are
// few and small: no limit holds them off.
func (s *Spool) markGaps(passes func(stream string) bool) {
	if len(s.gaps) == 0 {
		return
	}
	stamp, marked := s.o.stamp(s.epoch), false
	for _, stream := range slices.Sorted(maps.Keys(s.gaps)) {
		if passes != nil && passes(stream) || s.openStream(stream) != nil {
			continue
		}
		for _, g := range s.gaps[stream] {
			r := stamp
			r.stream, r.seq, r.gap = stream, s.next[stream], &g
			s.add(r)
			s.next[stream]++
			s.count.Accepted++
		}
		delete(s.gaps, stream)
		marked = true
	}
	if !marked {
		return
	}
	s.metaOld = true
	if s.o.WriteAfter == 0 {
		s.flush(stamp.at)
	}
}

// evictOldest drops the oldest segment, or the oldest record in memory; false: there is nothing.
func (s *Spool) evictOldest(why Reason) bool {
	if len(s.disk.segments) > 0 {
		s.evictSegment(why)
		return true
	}
	return s.evictTail(why)
}

func (s *Spool) evictTail(why Reason) bool {
	if len(s.tail) == 0 {
		return false
	}
	r := s.tail[0]
	s.tail[0] = record{}
	s.tail = s.tail[1:]
	s.tailBytes -= r.size()
	s.evicted(&r, why)
	s.advance()
	return true
}

func (s *Spool) evictSegment(why Reason) {
	seg, v := s.disk.segments[0], view{}
	if s.load(&v, seg) == nil {
		walk(v.content, s.cursor, func(r *record, _ location) bool {
			if seg.waits.has(r.pos) {
				s.evicted(r, why)
			}
			return r.pos < seg.last
		})
	} else {
		s.giveUp(seg, why)
	}
	s.disk.drop(0)
	_ = s.saveMeta(false) // the gaps, should the machine stop before somebody reads them
	s.advance()
	_ = s.saveProgress() // if it is not saved, an unclean stop finds other segments only
}

// load has v show a segment, and checks it against what was written to it. What the disk does not give back is evicted, and its
// numbers are lost.
func (s *Spool) load(v *view, g *segment) error {
	if v.shows(g) {
		return nil
	}
	if err := s.disk.load(v, g); err != nil {
		return s.unreadable(g, err)
	}
	g.failing = time.Time{}
	var positions []Pos
	var gaps []record // only stream and gap
	watch := damageWatch{}
	for key, have := range g.numbers {
		watch[key] = seen{last: have.first - 1}
	}
	skipped := walk(v.content, 0, func(r *record, at location) bool {
		if !g.holds.has(r.pos) {
			return r.pos < g.last // a copy of what another segment has, or given up
		}
		if hole := watch.saw(numbers{r.epoch, r.stream}, r.seq, at.skipped); hole != nil {
			gaps = append(gaps, record{stream: r.stream, gap: hole})
		}
		positions = append(positions, r.pos)
		return true
	})
	missing := g.keep(positions)
	if missing == 0 {
		return nil
	}
	s.disk.corrupt += skipped
	s.count.Evicted += missing
	s.lost(missing, "", string(ReasonCorrupt))
	for _, r := range gaps {
		s.lose(r.stream, *r.gap)
	}
	for key, have := range g.numbers {
		if last := watch[key].last; last < have.last {
			s.lose(key.stream, gap{last + 1, have.last, key.epoch, reasonCode(ReasonCorrupt)})
		}
	}
	return nil
}

// expire drops what has waited longer than MaxAge.
func (s *Spool) expire(now time.Time) {
	up := s.o.uptime(now)
	s.disk.creditOff(up)
	if s.o.MaxAge <= 0 {
		return
	}
	for len(s.disk.segments) > 0 && up-s.disk.segments[0].newest > s.o.MaxAge {
		s.evictSegment(ReasonAge)
	}
	for len(s.disk.segments) == 0 && len(s.tail) > 0 && up-s.tail[0].up > s.o.MaxAge {
		s.evictTail(ReasonAge)
	}
}

// unreadable decides about a segment that gives an error: a disk may come back, but one bad sector must not hold up all that
// is behind it.
func (s *Spool) unreadable(g *segment, err error) error {
	now := s.o.Now()
	if g.failing.IsZero() {
		g.failing = now
	}
	if now.Sub(g.failing) < unreadable || len(g.waits) == 0 {
		return fmt.Errorf("segment %s: %w", g.name, err)
	}
	s.giveUp(g, ReasonCorrupt)
	s.disk.corrupt++
	return nil
}

// giveUp evicts what a segment holds without reading it: whole ranges of numbers are lost, what was acknowledged of them too.
func (s *Spool) giveUp(g *segment, why Reason) {
	missing := g.keep(nil)
	if missing == 0 {
		return
	}
	s.count.Evicted += missing
	s.lost(missing, "", string(why))
	for key, have := range g.numbers {
		s.lose(key.stream, gap{have.first, have.last, key.epoch, reasonCode(why)})
	}
}
