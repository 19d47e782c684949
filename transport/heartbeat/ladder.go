package heartbeat

import (
	"math"
	"slices"
	"sort"
	"time"
)

// rung is a silence worth testing on the way up, and how many flows should prove it there and then.
type rung struct {
	low, high time.Duration // any gap from low to high serves
	need      int
}

// Where a rung that stands for a documented limit is tested, as parts of that limit: below it by what clocks and
// retransmissions blur, and above nine tenths, so that the beat is near the best as soon as it is proven.
const (
	knownLow  = 0.907
	knownHigh = 0.985
	hintPart  = 0.995 // of a remembered gap: it was measured at the edge
)

// Between neighbouring rungs below the first one of a ladder, for paths whose limit is far below any documented one.
const (
	fastRatio    = 1.23
	thriftyRatio = 1.9
)

// known are idle limits of TCP below 20 minutes that vendors and operators document: Juniper MS services 30 s, DrayTek WWW
// ports 60 s, Azure load balancer 240 s (home gateways 239 s: Haetoenen et al., IMC 2010), OCI load balancer and FortiOS CGN
// 300 s, AWS NLB and network firewall 350 s.
func known() []time.Duration { return seconds(30, 60, 239, 300, 350) }

// between are the other rungs. Fast: so close that a limit is noticed soon after its time, those that only users reported (150,
// 600, 900 s) among them. Thrifty: so far apart that one growing socket is at the limit soonest. README.md tells how they
// were found.
func between(m Mode) []time.Duration {
	if m == Fast {
		return seconds(37.5, 48.5, 75.5, 99, 146, 186, 344, 422, 549.5, 675.5, 786.5, 907.5)
	}
	return seconds(37.5, 58.5, 91.3, 142.5, 222.5, 347, 541, 844)
}

func seconds(all ...float64) []time.Duration {
	var d []time.Duration
	for _, s := range all {
		d = append(d, time.Duration(s*float64(time.Second)))
	}
	return d
}

// Share is a part of d.
func Share(d time.Duration, part float64) time.Duration { return time.Duration(float64(d) * part) }

// ladder are the rungs above floor, up to limit, rising.
func ladder(m Mode, floor, limit time.Duration) []rung {
	need, ratio := 1, thriftyRatio
	rungs := []rung{}
	if m == Fast {
		need, ratio = proofs, fastRatio
		for _, k := range append(known(), limit) {
			rungs = append(rungs, rung{low: Share(k, knownLow), high: Share(k, knownHigh), need: need})
		}
	}
	for _, d := range between(m) {
		rungs = append(rungs, rung{low: d, high: d, need: 1})
	}
	first := rungs[0].high
	for _, r := range rungs {
		first = min(first, r.high)
	}
	for d := Share(first, 1/ratio); d > floor; d = Share(d, 1/ratio) {
		rungs = append(rungs, rung{low: d, high: d, need: 1})
	}
	return tidy(append(rungs, rung{low: limit, high: limit, need: need}), floor, limit)
}

// hinted puts half of and the whole of what is remembered before everything else: rungs below the hint are left out. A wrong
// hint costs one test, after which the bracket below it is divided.
func hinted(rungs []rung, k Knowledge, floor, limit time.Duration) []rung {
	whole := min(Share(k.Proven, hintPart), limit)
	rungs = slices.DeleteFunc(rungs, func(r rung) bool { return r.low <= whole && whole < limit })
	rungs = append(rungs, rung{low: whole / 2, high: whole / 2, need: 1}, rung{low: whole, high: whole, need: proofs})
	if k.Failing > 0 {
		rungs = append(rungs, rung{low: k.Failing, high: k.Failing, need: 1})
	}
	return tidy(rungs, floor, limit)
}

// tidy sorts rungs, and drops those that are of no use.
func tidy(rungs []rung, floor, limit time.Duration) []rung {
	rungs = slices.DeleteFunc(rungs, func(r rung) bool { return r.high > limit || r.high <= floor })
	sort.SliceStable(rungs, func(i, j int) bool { return rungs[i].high < rungs[j].high })
	return rungs
}

// divided is the j-th of n-1 points that divide lo to lo×width evenly, by their ratio.
func divided(lo time.Duration, width float64, j, n int) time.Duration {
	return time.Duration(float64(lo) * math.Pow(width, float64(j)/float64(n)))
}
