package spool

import "slices"

// maxLimbo bounds limbo; a reader holds less at a time.
const maxLimbo = 8192

// limbo is a record that gave way while the reader held it. It may be acknowledged yet, so it waits, without its data, until
// it is, or until the reader starts over: then it was evicted.
type limbo struct {
	record
	why Reason
}

func (s *Spool) limboIndex(p Pos) (int, bool) {
	return slices.BinarySearchFunc(s.limbo, p, func(l limbo, p Pos) int {
		switch {
		case l.pos < p:
			return -1
		case l.pos > p:
			return 1
		}
		return 0
	})
}

// evicted is called with a record that gives way, after it was taken out of what waits.
func (s *Spool) evicted(r *record, why Reason) {
	if r.pos > s.handed {
		s.countEvicted(r, why)
		return
	}
	if len(s.limbo) >= maxLimbo {
		oldest := s.limbo[0]
		s.limbo = s.limbo[1:]
		s.countEvicted(&oldest.record, oldest.why)
	}
	l := limbo{*r, why}
	l.data = nil
	i, _ := s.limboIndex(r.pos)
	s.limbo = append(s.limbo, l)
	copy(s.limbo[i+1:], s.limbo[i:])
	s.limbo[i] = l
}

func (s *Spool) countEvicted(r *record, why Reason) {
	s.count.Evicted++
	s.lost(1, r.stream, string(why))
	s.loseRecord(r, why)
}

// acquit takes out of limbo what was acknowledged after all, and returns how many that is.
func (s *Spool) acquit(r span) int64 {
	from, _ := s.limboIndex(r.first)
	to := from
	for to < len(s.limbo) && s.limbo[to].pos <= r.last {
		to++
	}
	s.limbo = slices.Delete(s.limbo, from, to)
	return int64(to - from)
}

// Release says that the reader starts over: it holds nothing of what it peeked any more, and no acknowledgement of that will
// come. A Peek further back than the last one says the same of what lies behind it.
func (s *Spool) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(0)
}

// release is Release for what lies behind after.
func (s *Spool) release(after Pos) {
	s.handed = min(s.handed, after)
	from, _ := s.limboIndex(after + 1)
	if from == len(s.limbo) {
		return
	}
	gone := slices.Clone(s.limbo[from:])
	s.limbo = s.limbo[:from]
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
