// Package learn finds out how long the path of a link may stay silent, and sets the link's beat by it. Proof comes from the
// inbound side: probe sessions fall silent for a gap, then the main link publishes to them, and what arrives proves that the
// mapping lived.
//
//	MainLink ──▶ Learner ──▶ probe ──▶ conn ──▶ netdial.Dialer
//	   ▲            │ ▲         │
//	   │ SetInterval│ └─────────┘ what happened, on the learner's loop
//	   └────────────┘
//	          heartbeat.Search: which gap next; heartbeat.Budget: whether it may be paid
//
// Sessions and their ends come in (Up, Down), beats and wishes for a re-dial go out (MainLink). It opens nothing but probe
// sessions, sends nothing but probes, and touches a session only through MainLink.
package learn

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	backlog    = 64 // events that wait for the learner's loop
	leastSleep = time.Millisecond
	lateTimers = 200 * time.Millisecond // that the last proof below a cap may be short of it
)

// Learner finds out how long the path may stay silent, and sets the beat of the main link. It lives as long as the link; its
// loop owns everything but the status, and what happens elsewhere reaches it through do. Its exported methods are safe for
// concurrent use. What belongs together stands in structs of its own, which point back to it.
type Learner struct {
	env    Env
	o      Options
	events chan func()
	ended  chan struct{}   // closed when Run returns
	ctx    context.Context // of the probes; set by Run

	search      *heartbeat.Search   // of the epoch; nil: nothing to learn
	main        MainLink            // nil: down
	path        string              // that the epoch is of
	known       heartbeat.Knowledge // what an earlier epoch of path has left
	kind        heartbeat.Kind      // of path
	forgotAfter time.Duration       // the silence after which the path forgot the main link; 0: it did not

	beat      beat
	flows     flows
	canaries  canaries
	pair      pairing
	pingOnly  pingOnly
	spending  spending
	denials   denials
	strangers strangers
	nonces    nonces
	keep      keepalives

	budgetLevel atomic.Int32 // Level
	// Charged are bytes that others spend of the budget: they are added to it, and taken from there. Safe for concurrent use.
	Charged atomic.Int64
	status  status
}

// New returns one that has not begun. Its status is that of a link that is not up.
func New(o Options, env Env) *Learner {
	now := time.Now()
	kept := heartbeat.BudgetState{}
	if o.Memory != nil {
		kept = o.Memory.Budget()
	}
	le := &Learner{env: env, o: o, events: make(chan func(), backlog), ended: make(chan struct{})}
	le.beat.le = le
	le.flows = flows{le: le, byFlow: map[int]*probe{}}
	le.canaries, le.pair, le.pingOnly, le.keep = canaries{le: le}, pairing{le: le}, pingOnly{le: le}, keepalives{le: le}
	le.pingOnly.lost, le.strangers = map[string][]silentEnd{}, strangers{le: le}
	le.spending = spending{le: le, budget: heartbeat.NewBudget(o.Budget, kept, now)}
	le.denials = denials{le: le, until: map[*netdial.Endpoint]time.Time{}, carried: map[*netdial.Endpoint]bool{},
		hungUp: map[*netdial.Endpoint]int{}}
	le.beat.interval, le.beat.reason = env.Interval, "fixed by heartbeat.interval"
	if le.On() {
		le.beat.interval, le.beat.reason = o.Min, "nothing is proven yet"
		le.search = heartbeat.NewSearch(le.searchOptions(nil))
	}
	le.publish(now)
	return le
}

// On reports whether there is anything to learn; if not, Run returns at once, and the beat is Idle.
func (le *Learner) On() bool { return le.o.Mode != heartbeat.Off }

// searchOptions are for the path to e; nil: any.
func (le *Learner) searchOptions(e *netdial.Endpoint) heartbeat.SearchOptions {
	top := min(le.o.Max, le.env.Keepalive)
	if e != nil {
		top = min(top, e.AllowedKeepalive(le.env.Keepalive))
	}
	most := top + min(max(top/24, time.Second), 8*time.Second)
	o := heartbeat.SearchOptions{Mode: le.o.Mode, Floor: le.o.Min, Cap: most, Flows: le.o.Probes}
	if o.Mode == heartbeat.Fast && le.o.Budget.Burst > 0 && le.o.Budget.Burst < heartbeat.FastSessions*le.spending.estimate() {
		o.Mode, o.Flows = heartbeat.Thrifty, 0
	}
	if le.search != nil {
		o.After = le.search.Last()
	}
	return o
}

// do hands f to the loop. After the loop has ended, or where nothing is learnt, f is dropped.
func (le *Learner) do(f func()) {
	if !le.On() {
		return
	}
	select {
	case le.events <- f:
	case <-le.ended:
	}
}

// Run is the loop; it ends with ctx, and its probes with it.
func (le *Learner) Run(ctx context.Context) {
	defer close(le.ended)
	if !le.On() {
		return
	}
	probes, cancel := context.WithCancel(ctx)
	defer cancel()
	le.ctx = probes
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			le.close(time.Now())
			return
		case f := <-le.events:
			f()
		case <-timer.C:
		}
		for len(le.events) > 0 {
			(<-le.events)()
		}
		now := time.Now()
		le.step(now)
		if at := le.wake(now); at.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(max(leastSleep, at.Sub(now)))
		}
	}
}

// close saves what was learnt, and books what the open sessions have cost.
func (le *Learner) close(now time.Time) {
	le.remember(now)
	for _, p := range le.flows.byFlow {
		if p.conn != nil {
			le.spending.bookOne(p, p.conn.s.Raw.FinalCost(), now)
		}
	}
	le.spending.save()
}

// step does what is due.
func (le *Learner) step(now time.Time) {
	if le.main != nil {
		le.spending.resting = le.spending.resting && now.Before(le.spending.rested)
		level := le.level()
		le.search.Rest(le.spending.resting || le.strangers.resting(now) || level > Normal)
		le.spending.book(now)
		if level > Normal || le.canaries.lean {
			le.canaries.seen = now // the budget goes first: what it forbids is not held against the path when it ends
		}
		le.canaries.lean = level > Normal
		if !le.pingOnly.on && !now.Before(le.flows.paused) {
			if level < Exhausted {
				le.canaries.watch(now)
				le.pair.step(now)
			}
			for _, order := range le.search.Next(now) {
				le.flows.carryOut(order, now)
			}
		}
		le.adjust(now)
	}
	le.publish(now)
}

// wake is when step must be called next.
func (le *Learner) wake(now time.Time) time.Time {
	if le.main == nil {
		return time.Time{}
	}
	if le.pingOnly.on {
		return le.pingOnly.until
	}
	lapses := le.canaries.lapses()
	if !now.Before(lapses) {
		lapses = time.Time{} // that was acted upon
	}
	if until := le.flows.paused; now.Before(until) {
		if !lapses.IsZero() && lapses.Before(until) {
			return lapses
		}
		return until
	}
	at := le.search.Wake(now)
	rested, unrest := time.Time{}, time.Time{}
	if le.spending.resting {
		rested = le.spending.rested
	}
	if le.strangers.resting(now) {
		unrest = le.strangers.until
	}
	canary, pair := le.canaries.at(), le.pair.at()
	if le.level() == Exhausted { // step leaves both alone, so they would stay due
		canary, pair = time.Time{}, time.Time{}
	}
	for _, next := range []time.Time{canary, pair, rested, unrest, lapses} {
		if !next.IsZero() && (at.IsZero() || next.Before(at)) {
			at = next
		}
	}
	return at
}

// adjust sets the beat by what is proven, less the margin. Exception: without a budget it is the longest there is.
func (le *Learner) adjust(now time.Time) {
	if le.pingOnly.on {
		le.pingOnly.step(now)
		return
	}
	proven, target := le.search.Safe(), le.beat.allowed()
	blind := le.canaries.blind(now)
	if blind {
		target = min(target, le.beat.weakest())
	}
	switch {
	case le.level() == Exhausted:
		top := le.beat.top()
		if le.beat.longest = true; le.beat.interval != top {
			le.beat.set(top, "the monthly data budget is used up: the longest beat, proven or not", now)
		}
	case target > le.beat.interval:
		le.beat.set(target, fmt.Sprintf("silence of %v was survived by three connections", proven.Round(time.Millisecond)), now)
	case target < le.beat.interval && le.beat.longest:
		le.beat.longest = false
		le.beat.set(target, "the monthly data budget is no longer used up: back to what is proven", now)
	case target < le.beat.interval && blind:
		why := "nothing watched for long whether the path still allows more: as long as pings alone may let it be"
		le.beat.set(target, why, now)
	case target < le.beat.interval:
		why := fmt.Sprintf("a connection did not survive what others had: only %v is proven now", proven.Round(time.Millisecond))
		le.beat.set(target, why, now)
	}
	le.canaries.classify()
	le.keep.adapt(now)
	le.remember(now)
}
