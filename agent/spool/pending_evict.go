package spool

import "slices"

// maxPendingEvicts bounds how many there are; less is out at a time.
const maxPendingEvicts = 8192

// pendingEvict is a record that had to make room while it was out. It does not count as evicted yet, because it may still
// be acknowledged: it waits, without its data, until it is, or until it is given back; then it was evicted.
type pendingEvict struct {
	record
	why Reason
}

func (s *Spool) pendingEvictIndex(p Pos) (int, bool) {
	return slices.BinarySearchFunc(s.pendingEvicts, p, func(l pendingEvict, p Pos) int {
		switch {
		case l.pos < p:
			return -1
		case l.pos > p:
			return 1
		}
		return 0
	})
}

// evicted is called with a record that must make room, after it was taken out of what waits.
func (s *Spool) evicted(r *record, why Reason) {
	if !s.out.has(r.pos) {
		s.countEvicted(r, why)
		return
	}
	if len(s.pendingEvicts) >= maxPendingEvicts {
		oldest := s.pendingEvicts[0]
		s.pendingEvicts = s.pendingEvicts[1:]
		s.countEvicted(&oldest.record, oldest.why)
	}
	l := pendingEvict{*r, why}
	l.data = nil
	i, _ := s.pendingEvictIndex(r.pos)
	s.pendingEvicts = append(s.pendingEvicts, l)
	copy(s.pendingEvicts[i+1:], s.pendingEvicts[i:])
	s.pendingEvicts[i] = l
}

func (s *Spool) countEvicted(r *record, why Reason) {
	s.count.Evicted++
	s.lost(1, r.stream, string(why))
	s.loseRecord(r, why)
}

// unevict forgets the pending evicts that were acknowledged after all, and returns how many that is.
func (s *Spool) unevict(r span) int64 {
	from, _ := s.pendingEvictIndex(r.first)
	to := from
	for to < len(s.pendingEvicts) && s.pendingEvicts[to].pos <= r.last {
		to++
	}
	s.pendingEvicts = slices.Delete(s.pendingEvicts, from, to)
	return int64(to - from)
}

// Release says that all readers start over: nothing of what they handed out will be acknowledged any more.
func (s *Spool) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = nil
	s.settleEvicts()
}

// settleEvicts evicts for good what is not out any more.
func (s *Spool) settleEvicts() {
	var gone []pendingEvict
	s.pendingEvicts = slices.DeleteFunc(s.pendingEvicts, func(l pendingEvict) bool {
		if s.out.has(l.pos) {
			return false
		}
		gone = append(gone, l)
		return true
	})
	if len(gone) == 0 {
		return
	}
	for i := range gone {
		s.countEvicted(&gone[i].record, gone[i].why)
	}
	_ = s.saveMeta(false) // before the cursor passes them: until now it had them as marks that may come true
	s.advance()
}

// lost notes what could not be kept, for Status.
func (s *Spool) lost(n int64, stream, why string) {
	s.count.Lost = Loss{Records: s.count.Lost.Records + n, Last: s.o.Now(), Stream: stream, Why: why}
}
