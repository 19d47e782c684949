package modbus

import (
	"bytes"
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
func (d *Doubt) Unanswered(q Query, asked time.Time) { d.open = append(d.open, question{q, asked}) }

// Answered is called with the answer to a question, as it seems. sure: it is no other's. Until rest an answer may come that seems to be
// to another question.
func (d *Doubt) Answered(q Query, answer []byte, asked, now time.Time, timeout time.Duration) (sure bool, rest time.Time) {
	first := asked
	sure = true
	for _, o := range d.open {
		if o.Unit != q.Unit || now.Sub(o.asked) > max(forgotten, 4*timeout) || !answers(o.PDU, answer) {
			continue
		}
		sure = sure && bytes.Equal(o.PDU, q.PDU)
		if o.asked.Before(first) {
			first = o.asked
		}
	}
	if d.open = nil; first.Equal(asked) {
		return true, now
	}
	return sure, now.Add(asked.Sub(first) + timeout)
}
