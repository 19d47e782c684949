package heartbeat

import "time"

// month is the 30 days over which a budget of a month fills.
const month = 30 * 24 * time.Hour

// longestOff is the longest time off that earns budget: a year.
const longestOff = 365 * 24 * time.Hour

// BudgetOptions bound what learning may cost.
type BudgetOptions struct {
	Month int64 // bytes a month; zero or less: none at all
	Burst int64 // bytes that may be spent at once; if zero or above Month, Month
}

// BudgetState is what survives a restart.
type BudgetState struct {
	Left int64     // bytes
	At   time.Time // when that was true; zero: nothing is kept
}

// Budget is a token bucket: it fills evenly, up to the burst, and a spender asks first. What was spent in spite of it (a price
// is known only afterwards) is owed. Not safe for concurrent use.
type Budget struct {
	o     BudgetOptions
	state BudgetState
}

// NewBudget returns a full bucket, or what is left of kept. A kept time that lies in the future counts as now, and one that lies
// so far back that no gateway was off for so long brings nothing: one of the two clocks was wrong.
func NewBudget(o BudgetOptions, kept BudgetState, now time.Time) *Budget {
	if o.Burst <= 0 || o.Burst > o.Month {
		o.Burst = max(o.Month, 0)
	}
	b := &Budget{o: o, state: kept}
	if kept.At.IsZero() {
		b.state = BudgetState{Left: o.Burst, At: now}
	}
	b.state.Left = min(b.state.Left, o.Burst)
	if now.Sub(b.state.At) > longestOff {
		b.state.At = now
	}
	b.fill(now)
	b.state.At = now // with a monotonic part: setting the clock earns nothing
	return b
}

// fill adds what the time brought. What is too little for a byte waits.
func (b *Budget) fill(now time.Time) {
	passed := now.Sub(b.state.At)
	if passed <= 0 {
		b.state.At = now
		return
	}
	gained := int64(float64(b.o.Month) * passed.Seconds() / month.Seconds())
	if b.state.Left+gained >= b.o.Burst {
		b.state = BudgetState{Left: b.o.Burst, At: now}
		return
	}
	if gained > 0 {
		b.state.Left += gained
		b.state.At = b.state.At.Add(time.Duration(float64(gained) / float64(b.o.Month) * float64(month)))
	}
}

// Left is what may be spent now, in bytes; negative: owed.
func (b *Budget) Left(now time.Time) int64 {
	b.fill(now)
	return b.state.Left
}

// Spend books n bytes.
func (b *Budget) Spend(n int64, now time.Time) {
	b.fill(now)
	b.state.Left -= n
}

// Affords returns when n bytes may be spent: now, later, or never (the zero time) when the burst is smaller.
func (b *Budget) Affords(n int64, now time.Time) time.Time {
	b.fill(now)
	switch missing := n - b.state.Left; {
	case missing <= 0:
		return now
	case n > b.o.Burst || b.o.Month <= 0:
		return time.Time{}
	default:
		return now.Add(time.Duration(float64(missing)/float64(b.o.Month)*float64(month)) + time.Second)
	}
}

// State is what to keep.
func (b *Budget) State() BudgetState { return b.state }
