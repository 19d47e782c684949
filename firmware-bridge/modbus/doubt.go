package modbus

import (
	"bytes"
	"slices"
	"time"
)

// forgotten is our own choice: an answer that is later than this, and than four timeouts, does not come any more.
const forgotten = 10 * time.Second

// Doubt is whose an answer is. Only Modbus TCP numbers its requests; on a serial line an answer to a read tells a function and how much
// was read. So when a question had no answer and another one gets one, that may be the answer to the first, come late, and then the
// other's comes as late: taken for what it seems, each answer would be given to the next question, for ever. It is taken for nothing,
// and nothing is asked until the other one would have come as well:
//
//	asked     a ─── timeout ─── rest ─── b ······ rest: as long as from a to b, and a timeout ······ b
//	answered                                a? b?                                   b?              b!
//
// A unit answers one question after the other. So what can only be the answer to the last question ends all doubt.
//
// The zero value doubts nothing. Of one unit, and not safe for concurrent use.
type Doubt struct{ open []question }

// question is one without an answer.
type question struct {
	Query
	asked time.Time
}

// Unanswered is called when a question stayed without an answer.
func (d *Doubt) Unanswered(q Query, asked time.Time, timeout time.Duration) {
	d.forget(asked, timeout)
	d.open = append(d.open, question{q, asked})
}

// Answered is called with the answer to a question, as it seems. sure: it is no other's. Until rest an answer may come that seems to be
// to another question.
func (d *Doubt) Answered(q Query, answer []byte, asked, now time.Time, timeout time.Duration) (sure bool, rest time.Time) {
	d.forget(now, timeout)
	sure = true
	first := -1
	for i, o := range d.open {
		if o.Unit != q.Unit || !answers(o.PDU, answer) {
			continue
		}
		if sure = sure && bytes.Equal(o.PDU, q.PDU); first < 0 {
			first = i
		}
	}
	switch {
	case first < 0:
		d.open = nil
		return true, now
	case sure: // whichever of them it is to: if to the first, the others and this one are still open
		d.open = append(slices.Clone(d.open[first+1:]), question{q, asked})
		return true, now
	}
	rest = now.Add(asked.Sub(d.open[first].asked) + timeout)
	d.open = nil
	return false, rest
}

// forget gives up what does not come any more.
func (d *Doubt) forget(now time.Time, timeout time.Duration) {
	for len(d.open) > 0 && now.Sub(d.open[0].asked) > max(forgotten, 4*timeout) {
		d.open = d.open[1:]
	}
}
