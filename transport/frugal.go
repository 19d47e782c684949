package transport

import "time"

// Frugality says how much the budget of the month still allows.
type Frugality int32

const (
	Spend   Frugality = iota // as configured
	Spare                    // no probes: what is proven stays, canaries go on
	Starved                  // no canaries either, and the beat goes to its longest, proven or not
)

// Frugal changes what the link may cost. Safe for concurrent use.
func (l *Link) Frugal(f Frugality) {
	if Frugality(l.frugal.Swap(int32(f))) == f {
		return
	}
	if l.learner.on() {
		l.learner.do(func() {})
		return
	}
	if s, _ := l.current(); s != nil {
		s.setInterval(l.idle())
	}
}

func (l *Link) frugality() Frugality { return Frugality(l.frugal.Load()) }

// idle is the beat of a link that does not learn.
func (l *Link) idle() time.Duration {
	if l.frugality() == Starved {
		return max(l.o.Interval, l.o.Learning.Max)
	}
	return l.o.Interval
}
