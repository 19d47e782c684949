package spool

import (
	"maps"
	"slices"
	"time"
)

// maxGaps bounds the gaps of one stream that wait to be marked; more are joined.
const maxGaps = 16

// lose notes that numbers of a stream are lost. They are marked in the stream when somebody reads it; until then gaps that
// touch are one.
func (s *Spool) lose(stream string, g gap) {
	waiting := s.gaps[stream]
	if n := len(waiting); n > 0 {
		last := &waiting[n-1]
		same := last.epoch == g.epoch && last.to != 0 && g.to != 0
		if same && (g.from <= last.to+1 && g.to+1 >= last.from && last.reason == g.reason || n >= maxGaps) {
			last.from, last.to = min(last.from, g.from), max(last.to, g.to)
			s.metaOld = true
			return
		}
		if n >= maxGaps {
			waiting = waiting[1:] // of another epoch: who reads that sees the hole without a reason
		}
	}
	s.gaps[stream] = append(waiting, g)
	s.metaOld = true
	s.signal()
}

// loseRecord is lose for a record that was accepted. What a lost mark of a gap said is said again.
func (s *Spool) loseRecord(r *record, why Reason) {
	if r.gap != nil {
		s.lose(r.stream, *r.gap)
	}
	s.lose(r.stream, gap{r.seq, r.seq, r.epoch, reasonCode(why)})
}

// markGaps appends the marks that wait. They are few and small: no limit holds them off.
func (s *Spool) markGaps() {
	if len(s.gaps) == 0 {
		return
	}
	now := s.o.Now()
	for _, stream := range slices.Sorted(maps.Keys(s.gaps)) {
		if s.openStream(stream) != nil {
			continue
		}
		for _, g := range s.gaps[stream] {
			s.add(record{at: now, epoch: s.epoch, stream: stream, seq: s.next[stream], gap: &g})
			s.next[stream]++
			s.count.Accepted++
		}
	}
	clear(s.gaps)
	s.metaOld = true
	if s.o.WriteAfter == 0 {
		s.flush(now)
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
	s.countEvicted(&r, why)
	if s.disk.live(s.cursor) == 0 { // else what is on disk comes before it
		s.cursor = max(s.cursor, r.pos)
	}
	return true
}

func (s *Spool) evictSegment(why Reason) {
	seg := s.disk.segments[0]
	live := seg.live(s.cursor)
	s.disk.scan(seg, func(r *record) {
		if r.pos > s.cursor && live > 0 {
			live--
			s.countEvicted(r, why)
		}
	})
	s.count.Evicted += live // rotten since they were written: their numbers show as a hole without a reason
	s.cursor = max(s.cursor, seg.last)
	_ = s.disk.saveCursor(s.cursor) // if it is not saved, an unclean stop finds other segments only
	s.disk.drop(0)
	_ = s.saveMeta(false) // the gaps, should the machine stop before somebody reads them
}

func (s *Spool) countEvicted(r *record, why Reason) {
	if _, given := s.poison[r.pos]; given {
		delete(s.poison, r.pos)
		s.count.Poison++
		return
	}
	s.count.Evicted++
	s.loseRecord(r, why)
}

// dropUnreadable evicts the segments that could not be read, called after a read.
func (s *Spool) dropUnreadable() {
	for len(s.disk.segments) > 0 && s.disk.segments[0].unreadable {
		s.evictSegment(ReasonCorrupt)
	}
}

// expire drops what has waited longer than MaxAge.
func (s *Spool) expire(now time.Time) {
	if s.o.MaxAge <= 0 {
		return
	}
	for len(s.disk.segments) > 0 && now.Sub(s.disk.segments[0].newest) > s.o.MaxAge {
		s.evictSegment(ReasonAge)
	}
	for len(s.disk.segments) == 0 && len(s.tail) > 0 && now.Sub(s.tail[0].at) > s.o.MaxAge {
		s.evictTail(ReasonAge)
	}
}
