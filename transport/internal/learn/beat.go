package learn

import "time"

// beat is the silence that the main link is told to keep below, and what bounds it; on the learner's loop.
type beat struct {
	le       *Learner
	interval time.Duration
	reason   string // of its last change
	longest  bool   // it is at its longest, proven or not
}

// top is the longest beat that there may be.
func (b *beat) top() time.Duration { return min(b.le.o.Max, b.le.main.Keepalive()) }

// allowed is the beat by what is proven, less the margin. There must be a main link.
func (b *beat) allowed() time.Duration {
	proven, top := b.le.search.Safe(), b.top()
	target := max(proven-margin(proven), b.le.o.Min)
	if target > top-lateTimers { // the margin is far larger, and a cap is a round number
		return top
	}
	return target
}

// set changes the beat of the main link, at once.
func (b *beat) set(d time.Duration, why string, now time.Time) {
	b.interval, b.reason = d, why
	if b.le.main != nil {
		b.le.main.SetInterval(d)
	}
}

// margin is what the beat stays below what is proven: 4 %, 1 s at least, 8 s at most.
func margin(proven time.Duration) time.Duration {
	return min(max(proven/25, time.Second), 8*time.Second)
}

// weakest is the longest beat that the operator lets pings alone, which prove little, keep.
func (b *beat) weakest() time.Duration {
	return max(b.le.o.Min, min(max(b.le.env.Interval, b.le.o.Weak), b.le.o.Max, b.le.env.Keepalive))
}

// lasting is the beat that CONNECT is to fit: not one that nobody watches for the moment.
func (b *beat) lasting() time.Duration { return max(b.interval, b.allowed()) }
