package modbus

import (
	"bytes"
	"slices"
	"time"
)

// latestAnswer is our own choice: an answer that is later than this, and than four timeouts, does not come any more.
const latestAnswer = 10 * time.Second

// Stale tells the answer to a request from a stale one: the late answer to an earlier request of the same unit.
//
// No stale answer is taken for a fresh one, as far as the line can tell. Only Modbus TCP numbers its requests; on a serial line
// the answer to a read names a function and a size, and no more. So after a request a without an answer, an answer that comes
// after the next request b may be the one to a, and then the one to b is as late. If it were taken for the answer to b, every
// later answer would be given to the request after its own, indefinitely. It is therefore dropped, and nothing is asked until
// the answer to b would have come as well:
//
//	asked     a ─── timeout ─── cooldown ─── b ······ cooldown: as long as from a to b, and a timeout ······ b
//	answered                                    a? b?                                       b?              b!
//
// A unit answers its requests one after the other. So an answer that can only be the one to the last request ends the
// uncertainty.
//
// The zero value knows of no open request. For one unit; not safe for concurrent use.
type Stale struct{ open []unanswered }

// unanswered is a request without an answer.
type unanswered struct {
	Query
	asked time.Time
}

// Unanswered is called when a request was not answered in time.
func (s *Stale) Unanswered(q Query, asked time.Time, timeout time.Duration) {
	s.expire(asked, timeout)
	s.open = append(s.open, unanswered{q, asked})
}

// Answered is called with what looks like the answer to a request. If fresh, it is that. If not, it may be stale, and until the
// moment until another answer may come that looks like the one to a later request.
func (s *Stale) Answered(q Query, answer []byte, asked, now time.Time, timeout time.Duration) (fresh bool, until time.Time) {
	s.expire(now, timeout)
	fresh = true
	first := -1
	for i, o := range s.open {
		if o.Unit != q.Unit || !answers(o.PDU, answer) {
			continue
		}
		if fresh = fresh && bytes.Equal(o.PDU, q.PDU); first < 0 {
			first = i
		}
	}
	switch {
	case first < 0:
		s.open = nil
		return true, now
	case fresh: // the same request: whichever of them was answered, take it for the first; the others and this one stay open
		s.open = append(slices.Clone(s.open[first+1:]), unanswered{q, asked})
		return true, now
	}
	until = now.Add(asked.Sub(s.open[first].asked) + timeout)
	s.open = nil
	return false, until
}

// expire forgets the requests whose answer does not come any more.
func (s *Stale) expire(now time.Time, timeout time.Duration) {
	for len(s.open) > 0 && now.Sub(s.open[0].asked) > max(latestAnswer, 4*timeout) {
		s.open = s.open[1:]
	}
}
