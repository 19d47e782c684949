package transport

import "time"

// Frugality says how much the budget of the month still allows.
type Frugality int32

const (
	Spend   Frugality = iota // as configured
	Spare                    // no probes: what is proven stays, canaries go on
	Starved                  // no canaries either, and the beat goes to its longest, proven or not
)

// SetLevel changes what learning may cost; false: it was that already.
func (le *learner) SetLevel(f Frugality) bool {
	if Frugality(le.frugal.Swap(int32(f))) == f {
		return false
	}
	le.do(func() {})
	return true
}

func (le *learner) level() Frugality { return Frugality(le.frugal.Load()) }

// Idle is the beat of a link that does not learn.
func (le *learner) Idle() time.Duration {
	if le.level() == Starved {
		return max(le.env.Interval, le.o.Max)
	}
	return le.env.Interval
}
