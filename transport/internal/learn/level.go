package learn

import "time"

// Level says how much the monthly data budget still allows.
type Level int32

const (
	Normal    Level = iota // as configured
	Low                    // no probes: what is proven stays, canaries go on
	Exhausted              // no canaries either, and the beat goes to its longest, proven or not
)

// SetLevel changes what learning may cost; false: it was that already.
func (le *Learner) SetLevel(to Level) bool {
	if Level(le.budgetLevel.Swap(int32(to))) == to {
		return false
	}
	le.do(func() {})
	return true
}

func (le *Learner) level() Level { return Level(le.budgetLevel.Load()) }

// Idle is the beat of a link that does not learn.
func (le *Learner) Idle() time.Duration {
	if le.level() == Exhausted {
		return max(le.env.Interval, le.o.Max)
	}
	return le.env.Interval
}
