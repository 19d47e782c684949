package modbus

import (
	"math"
	"time"
)

// Reading is what one poll says of one register: a value, or why there is none.
type Reading struct {
	Register int // index
	Value    Value
	Bad      string // empty: there is a value
}

// Report decides which readings of one unit are worth a record. Not safe for concurrent use.
type Report struct {
	regs       []Register
	onChange   bool
	maxSilence time.Duration // a value that did not change is reported after this all the same; 0: never
	last       []reported    // by register
	good       bool          // there was a good reading
}

type reported struct {
	reading Reading
	at      time.Time // zero: never
}

// NewReport makes the report of a unit that has said nothing yet.
func NewReport(regs []Register, onChange bool, maxSilence time.Duration) *Report {
	return &Report{regs: regs, onChange: onChange, maxSilence: maxSilence, last: make([]reported, len(regs))}
}

// Select returns what of a poll is to be reported at now: nothing before the first good reading of the unit; then all of it, or,
// on change, what differs from what was reported last, and what was not reported for long. It counts as reported.
func (r *Report) Select(readings []Reading, now time.Time) []Reading {
	for _, x := range readings {
		r.good = r.good || x.Bad == ""
	}
	if !r.good {
		return nil
	}
	var out []Reading
	for _, x := range readings {
		last := &r.last[x.Register]
		old := r.maxSilence > 0 && now.Sub(last.at) >= r.maxSilence
		if r.onChange && !last.at.IsZero() && !old && !r.changed(last.reading, x) {
			continue
		}
		*last = reported{x, now}
		out = append(out, x)
	}
	return out
}

// Forget makes readings count as not reported, when their record could not be kept.
func (r *Report) Forget(readings []Reading) {
	for _, x := range readings {
		r.last[x.Register] = reported{}
	}
}

func (r *Report) changed(a, b Reading) bool {
	if a.Bad != b.Bad {
		return true
	}
	x, isNumber := a.Value.Number()
	y, also := b.Value.Number()
	if band := r.regs[a.Register].Deadband; isNumber && also && band > 0 {
		return math.Abs(rounded(x-y)) >= band
	}
	return a.Value != b.Value
}
