package heartbeat

import (
	"slices"
	"time"
)

// keptProofs is how many flows are remembered; only the best few are ever asked for.
const keptProofs = 64

// proofList holds the longest silence that each flow of an epoch survived, longest first. A flow that proved more proved
// less too.
type proofList []proof

type proof struct {
	flow int
	gap  time.Duration
}

// add notes that flow survived gap.
func (l *proofList) add(flow int, gap time.Duration) {
	if i := slices.IndexFunc(*l, func(p proof) bool { return p.flow == flow }); i >= 0 {
		gap = max(gap, (*l)[i].gap)
		*l = slices.Delete(*l, i, i+1)
	}
	i := l.count(gap)
	*l = append(*l, proof{})
	copy((*l)[i+1:], (*l)[i:])
	(*l)[i] = proof{flow, gap}
	*l = (*l)[:min(len(*l), keptProofs)]
}

// below takes back what was proven from gap on: a flow failed there.
func (l proofList) below(gap time.Duration) {
	for i := range l {
		l[i].gap = min(l[i].gap, gap-1)
	}
}

// nth is the silence that n flows survived; 0: fewer did survive any.
func (l proofList) nth(n int) time.Duration {
	if len(l) < n {
		return 0
	}
	return max(0, l[n-1].gap)
}

// count is how many flows survived gap.
func (l proofList) count(gap time.Duration) int {
	n := 0
	for n < len(l) && l[n].gap >= gap {
		n++
	}
	return n
}

// of is what flow survived.
func (l proofList) of(flow int) time.Duration {
	for _, p := range l {
		if p.flow == flow {
			return p.gap
		}
	}
	return 0
}
