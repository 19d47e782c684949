package heartbeat

import (
	"math"
	"slices"
	"sort"
	"time"
)

const (
	coarse    = 1.05                   // bracket within which what is sure is confirmed first, and then divided
	promptly  = 1.10                   // a documented limit is proven within this many times itself
	beyond    = 1.10                   // a rung this far below what a flow survived needs no more proofs
	growStep  = 1.02                   // above the failing gap, when growth is tried
	lateTimer = 100 * time.Millisecond // a flow that is silent for a little longer than planned still serves
	unknownLo = 3                      // a bracket without a lower end is taken to begin at this part of its upper one
)

// Next returns what is to be done now. Ask again after each event, and at Wake.
func (s *Search) Next(now time.Time) []Order {
	if s.start.IsZero() || now.Before(s.start) {
		return nil
	}
	var orders []Order
	for {
		p := s.plan(now)
		f := p.due(now)
		if f == nil {
			return append(orders, s.fit(p, now)...)
		}
		f.gap, f.asked = now.Sub(f.since), true
		orders = append(orders, Order{Verb: Test, Flow: f.id})
	}
}

// Wake is when Next must be asked again, at the latest; the zero time: after the next event only.
func (s *Search) Wake(now time.Time) time.Time {
	if s.start.IsZero() || now.Before(s.start) {
		return s.start
	}
	at := s.growAt
	if s.rest {
		at = time.Time{} // when it may grow again there is an event
	}
	for _, t := range s.plan(now).targets {
		if due := t.flow.since.Add(t.gap); at.IsZero() || due.Before(at) {
			at = due
		}
	}
	return at
}

// target is the gap at which a silent flow will be tested.
type target struct {
	flow *flow
	gap  time.Duration
}

// plan says what each silent flow is for, and how many more are wanted. It is made again at each look, from what is known then.
type plan struct {
	now     time.Time
	silent  []*flow // that have no target yet, the most silent first
	targets []target
	testing []time.Duration // gaps that were asked and not answered
	opening int             // flows on their way
	arming  int             // flows that will be silent again in a moment
	more    int             // flows to open
}

func (s *Search) plan(now time.Time) *plan {
	p := s.sorted(now)
	if s.rest {
		return p
	}
	if !s.Settled() {
		s.growAt = time.Time{}
	}
	switch {
	case s.Settled():
		s.grow(now)
	case s.hi == 0 || s.rungWithin():
		s.climb(p)
	default:
		s.narrow(p)
	}
	return p
}

// sorted says what each flow is up to.
func (s *Search) sorted(now time.Time) *plan {
	p := &plan{now: now}
	for _, f := range s.flows {
		switch {
		case f.pin > 0 && (f.since.IsZero() || f.asked):
		case f.pin > 0:
			p.targets = append(p.targets, target{f, f.pin})
		case f.asked:
			p.testing = append(p.testing, f.gap)
		case !f.since.IsZero():
			p.silent = append(p.silent, f)
		case f.used:
			p.arming++
		default:
			p.opening++
		}
	}
	sort.SliceStable(p.silent, func(i, j int) bool { return p.silent[i].since.Before(p.silent[j].since) })
	return p
}

func (p *plan) due(now time.Time) *flow {
	for _, t := range p.targets {
		if !now.Before(t.flow.since.Add(t.gap)) {
			return t.flow
		}
	}
	return nil
}

// silence is how long the i-th flow has been silent.
func (p *plan) silence(i int) time.Duration { return p.now.Sub(p.silent[i].since) }

// aim gives the i-th silent flow a target.
func (p *plan) aim(i int, gap time.Duration) {
	p.targets = append(p.targets, target{p.silent[i], max(gap, p.silence(i))})
	p.silent = slices.Delete(p.silent, i, i+1)
}

// fit opens what is missing, and closes what the search has no use for: all when it rests, else those that are silent for
// longer than what failed.
func (s *Search) fit(p *plan, now time.Time) []Order {
	var orders []Order
	for _, f := range slices.Clone(s.flows) {
		if f.done {
			s.Gone(f.id)
			orders = append(orders, Order{Verb: Close, Flow: f.id})
		}
	}
	for i, f := range p.silent {
		if s.Settled() || s.hi > 0 && p.silence(i) >= s.hi {
			s.Gone(f.id)
			orders = append(orders, Order{Verb: Close, Flow: f.id})
		}
	}
	open := func(w want) {
		s.last++
		s.flows = append(s.flows, &flow{id: s.last, pin: w.gap})
		orders = append(orders, Order{Verb: Open, Flow: s.last, Canary: w.canary})
	}
	for range p.more {
		open(want{})
	}
	for _, w := range s.wants {
		open(w)
	}
	s.wants = nil
	return orders
}

// rungWithin reports whether the bracket is so wide that there is a rung in it.
func (s *Search) rungWithin() bool {
	for _, r := range s.rungs {
		if r.low > Share(s.lo(), coarse) && Share(r.high, coarse) < s.hi {
			return true
		}
	}
	return false
}

// climb sends each flow to the lowest rung that still needs one, the most silent flow first.
func (s *Search) climb(p *plan) {
	if s.lo() >= s.o.Cap {
		s.prove(p, proofs)
		return
	}
	unmet := 0
	for _, r := range s.rungs {
		if Share(r.high, beyond) < s.lo() || s.hi > 0 && r.high >= s.hi {
			continue
		}
		need := r.need - s.best.count(r.low)
		for _, gap := range p.testing {
			if gap >= r.low {
				need--
			}
		}
		for i := 0; i < len(p.silent) && need > 0; {
			if p.silence(i) > r.high+lateTimer {
				i++
				continue
			}
			p.aim(i, s.within(r, p.silent[i]))
			need--
		}
		unmet += max(0, need)
	}
	p.more = max(0, min(unmet-p.opening, s.most()-s.alive(p)))
}

// within is where in r the flow f is tested: as high as may be, unless it began too late for that.
func (s *Search) within(r rung, f *flow) time.Duration {
	limit := Share(r.high, promptly/knownHigh)
	return min(r.high, max(r.low, s.start.Add(limit).Sub(f.since)))
}

// most is how many flows there may be at once. A hint is worth as many as can prove it, and one for half of it.
func (s *Search) most() int {
	if s.hint > s.lo() {
		return max(s.o.Flows, proofs+1)
	}
	return s.o.Flows
}

// alive are the flows that are open, or about to be, and may still serve.
func (s *Search) alive(p *plan) int {
	n := len(p.targets) + len(p.testing) + p.opening + p.arming
	for i := range p.silent {
		if s.hi == 0 || p.silence(i) < s.hi {
			n++
		}
	}
	return n
}

// narrow finds the limit within the bracket: what is sure is proven by as many flows as it takes, the others divide the bracket,
// and in the end what failed is asked once more.
func (s *Search) narrow(p *plan) {
	lo := s.lo()
	if lo == 0 {
		lo = max(s.hi/unknownLo, min(s.o.Floor, Share(s.hi, 1/fine)), 1)
	}
	width := float64(s.hi) / float64(lo)
	switch {
	case width <= fine:
		s.prove(p, proofs)
		s.confirm(p)
	case width <= coarse:
		s.prove(p, proofs)
		s.divide(p, lo, width)
	default:
		s.prove(p, s.sure(p, lo, width))
		s.divide(p, lo, width)
		s.prove(p, proofs)
	}
}

// cohort are the n flows, from first on, that are about equally silent: they can be asked one after the other.
func (s *Search) cohort(p *plan, lo time.Duration) (first, n int) {
	for first < len(p.silent) && p.silence(first) >= s.hi {
		first++
	}
	for i := first; i < len(p.silent) && p.silence(first)-p.silence(i) < s.hi-lo; i++ {
		n++
	}
	return first, n
}

// sure is how many flows of the cohort should confirm lo while the others divide the bracket: so many that most of the limit is
// proven by their answers wherever it lies.
func (s *Search) sure(p *plan, lo time.Duration, width float64) (sure int) {
	_, n := s.cohort(p, lo)
	asked := s.confirming(p, lo)
	least := math.Inf(1)
	for c := 0; c <= min(n, proofs-s.best.count(lo-lateTimer)-asked); c++ {
		worst, points := 1.0, n-c
		for k := range points + 1 { // the limit is just below the next point
			limit := divided(lo, width, k+1, points+1)
			worst = max(worst, float64(limit)/float64(s.provenAfter(lo, width, c+asked, k, points)))
		}
		if worst < least {
			least, sure = worst, c
		}
	}
	return sure
}

// confirming are the flows that were asked about lo, or a little above it, and did not answer yet.
func (s *Search) confirming(p *plan, lo time.Duration) (n int) {
	for _, gap := range p.testing {
		if gap >= lo-lateTimer && gap <= s.nearly(lo) {
			n++
		}
	}
	return n
}

// nearly is up to where a flow that waited a little longer than lo is asked to confirm it: it is likely to have survived.
func (s *Search) nearly(lo time.Duration) time.Duration {
	if s.hi > lo {
		return lo + (s.hi-lo)/8
	}
	return lo
}

// provenAfter is what three flows have survived after c of them confirmed lo, and k of so many points above it were survived.
func (s *Search) provenAfter(lo time.Duration, width float64, c, k, points int) time.Duration {
	switch {
	case k >= proofs:
		return divided(lo, width, k-proofs+1, points+1)
	case k+c >= proofs:
		return lo
	}
	return max(1, s.best.nth(proofs-k-c))
}

// divide shares the bracket out among the cohort: they are asked one after the other, rising, and each answer divides it again.
func (s *Search) divide(p *plan, lo time.Duration, width float64) {
	first, cohort := s.cohort(p, lo)
	for j := 1; j <= cohort; j++ {
		p.aim(first, divided(lo, width, j, cohort+1))
	}
	useful := int(math.Ceil(math.Log(width)/math.Log(fine))) + proofs
	p.more = max(p.more, min(useful, s.o.Flows)-s.alive(p))
}

// prove has the longest silence that some flow survived confirmed by as many as it takes, with up to most of the silent flows.
func (s *Search) prove(p *plan, most int) {
	lo := s.lo()
	missing := proofs - s.best.count(lo-lateTimer)
	for _, t := range p.targets {
		if t.gap >= lo-lateTimer && t.gap <= lo {
			missing--
		}
	}
	if lo == 0 || missing <= 0 {
		return
	}
	for _, gap := range p.testing {
		if s.hi == 0 || gap < s.hi {
			missing--
		}
	}
	above := s.nearly(lo)
	for i := 0; i < len(p.silent) && missing > 0 && most > 0; {
		if p.silence(i) > above || s.best.of(p.silent[i].id) >= lo-lateTimer {
			i++
			continue
		}
		p.aim(i, lo-lateTimer/2)
		missing, most = missing-1, most-1
	}
	if most > 0 {
		p.more = max(p.more, missing-p.opening)
	}
}

// confirm asks once more at the gap that failed, until that is certain.
func (s *Search) confirm(p *plan) {
	missing := repeats - s.counts - s.unsure
	for _, gap := range p.testing {
		if gap >= s.hi {
			missing--
		}
	}
	for len(p.silent) > 0 && missing > 0 {
		p.aim(0, s.hi)
		missing--
	}
	if missing <= 0 && s.unsure > 0 { // a fresh connection makes it certain
		missing = 1
	}
	p.more = max(p.more, missing-p.opening)
}

// grow tries a longer gap from time to time.
func (s *Search) grow(now time.Time) {
	if s.Safe() >= s.o.Cap {
		s.growAt = time.Time{}
		return
	}
	if s.growAt.IsZero() {
		s.growAt = now.Add(day << min(s.growth, ageing))
	}
	if now.Before(s.growAt) {
		return
	}
	s.growth++
	s.growAt = now.Add(day << min(s.growth, ageing))
	s.want(want{gap: min(Share(s.hi, growStep), s.o.Cap)})
}
