// Package learn finds out how long the path of a link may stay silent, and sets the link's beat by it. Proof comes from the inbound
// side: probe sessions fall silent for a gap, then the main link publishes to them, and what arrives proves that the mapping lived.
//
//	MainLink ──▶ Learner ──▶ probe ──▶ conn ──▶ netdial.Dialer
//	   ▲            │ ▲         │
//	   │ SetInterval│ └─────────┘ what happened, on the learner's loop
//	   └────────────┘
//	          heartbeat.Search: which gap next; heartbeat.Budget: whether it may be paid
//
// Sessions and their ends come in (Up, Down), beats and wishes for a re-dial go out (MainLink). It opens nothing but probe sessions,
// sends nothing but probes, and touches a session only through MainLink.
package learn

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	learnBacklog    = 64               // events that wait for the learner's loop
	unknownSpread   = 60 * time.Second // probe_after auto: a new path waits random 0 to this
	knownWait       = 10 * time.Minute // and a known one this and random 0 to knownSpread
	knownSpread     = 30 * time.Minute
	deniedFor       = 24 * time.Hour // until a server that denied probes is asked again
	deniedWithin    = 5 * time.Second
	retryMin        = 10 * time.Second // between attempts to open a probe session that failed
	retryMax        = 10 * time.Minute
	canaryPart      = 1.03  // of the interval
	canaryKeepalive = 65535 // seconds: a canary rests for many intervals
	autoCanary      = 25
	quietPart       = 1.05 // of the failing gap
	quietNext       = -1   // the next canary is the quiet test
	leastSleep      = time.Millisecond
	lateTimers      = 200 * time.Millisecond // that the last proof below a cap may be short of it
)

// Learner finds out how long the path may stay silent, and sets the beat of the main link. It lives as long as the link; its
// loop owns everything but the status, and what happens elsewhere reaches it through do.
type Learner struct {
	env    Env
	o      Options
	events chan func()
	gone   chan struct{}   // closed when Run has ended
	ctx    context.Context // of the probes; set by Run

	search      *heartbeat.Search
	budget      *heartbeat.Budget
	main        MainLink // nil: down
	path        string
	known       heartbeat.Knowledge        // of path
	weak        *weakBeat                  // not nil: no probes, the beat itself is all the evidence there is
	probes      map[int]*probe             // by flow
	carried     map[*netdial.Endpoint]bool // endpoints that carried a nonce of the main link
	canary      *probe                     // a canary that rests between two tests; nil: none
	shortCanary bool                       // the server does not take canaryKeepalive
	denied      map[*netdial.Endpoint]time.Time
	hungUp      map[*netdial.Endpoint]int // how often the main link was closed right after its first nonce
	asking      time.Time                 // last probe publish of this session; zero: none yet

	kind        heartbeat.Kind
	quiet       int // flow of a quiet test, or quietNext; 0: none
	asked       bool
	watched     time.Time // last canary
	paused      time.Time // no new session before: the last one could not be opened
	failures    int       // in a row
	lastError   string    // the last of them
	longest     bool      // the beat is at its longest, proven or not
	resting     bool      // until rested: only canaries, as there is no budget for more
	rested      time.Time
	doubtful    int           // canaries in a row that may have been silent for too long
	forgot      time.Duration // the silence after which the main link was forgotten; 0: it was not
	price       int64         // of a session, as far as measured
	interval    time.Duration
	reason      string
	redialAfter time.Time     // no planned re-dial before
	why         string        // probes are not possible
	weakLost    time.Duration // the weak beat at which the link was lost on weakPath; 0: none
	weakPath    string

	pair      pairing
	pairAlone bool // the second session was silent for too long, so it keeps its own mapping

	budgetLevel atomic.Int32 // Frugality
	status      status
}

// New returns one that has not begun. Its status is that of a link that is not up.
func New(o Options, env Env) *Learner {
	now := time.Now()
	kept := heartbeat.BudgetState{}
	if o.Memory != nil {
		kept = o.Memory.Budget()
	}
	le := &Learner{env: env, o: o, events: make(chan func(), learnBacklog), gone: make(chan struct{}), budget: heartbeat.NewBudget(o.Budget, kept, now),
		probes: map[int]*probe{}, carried: map[*netdial.Endpoint]bool{}, denied: map[*netdial.Endpoint]time.Time{}, hungUp: map[*netdial.Endpoint]int{},
		interval: env.Interval, reason: "fixed by heartbeat.interval"}
	if le.On() {
		le.interval, le.reason = o.Min, "nothing is proven yet"
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
	o := heartbeat.SearchOptions{Mode: le.o.Mode, Floor: le.o.Min, Cap: top + min(max(top/24, time.Second), 8*time.Second), Flows: le.o.Probes}
	if o.Mode == heartbeat.Fast && le.o.Budget.Burst > 0 && le.o.Budget.Burst < fastSessions*le.estimate() {
		o.Mode, o.Flows = heartbeat.Thrifty, 0
	}
	if le.search != nil {
		o.After = le.search.Last()
	}
	return o
}

// do hands f to the loop. Once that is over, or where there is none, f is dropped.
func (le *Learner) do(f func()) {
	if !le.On() {
		return
	}
	select {
	case le.events <- f:
	case <-le.gone:
	}
}

// Run is the loop; it ends with ctx, and its probes with it.
func (le *Learner) Run(ctx context.Context) {
	defer close(le.gone)
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

// close keeps what was learnt, and what is open has cost.
func (le *Learner) close(now time.Time) {
	le.remember(now)
	for _, p := range le.probes {
		if p.conn != nil {
			le.bookOne(p, p.conn.s.Raw.FinalCost(), now)
		}
	}
	le.saveBudget()
}

// step does what is due.
func (le *Learner) step(now time.Time) {
	if le.main != nil {
		le.resting = le.resting && now.Before(le.rested)
		frugal := le.level()
		le.search.Rest(le.resting || frugal > Normal)
		le.book(now)
		if le.weak == nil && !now.Before(le.paused) {
			if frugal < Exhausted {
				le.watch(now)
				le.pairStep(now)
			}
			for _, order := range le.search.Next(now) {
				le.carryOut(order, now)
			}
		}
		le.judge(now)
	}
	le.publish(now)
}

// wake is when step must be called next.
func (le *Learner) wake(now time.Time) time.Time {
	if le.main == nil {
		return time.Time{}
	}
	if le.weak != nil {
		return le.weak.until
	}
	if now.Before(le.paused) {
		return le.paused
	}
	at := le.search.Wake(now)
	rested := time.Time{}
	if le.resting {
		rested = le.rested
	}
	canary, pair := le.canaryAt(), le.pairAt()
	if le.level() == Exhausted { // step leaves both alone, so that they stay due for ever
		canary, pair = time.Time{}, time.Time{}
	}
	for _, next := range []time.Time{canary, pair, rested} {
		if !next.IsZero() && (at.IsZero() || next.Before(at)) {
			at = next
		}
	}
	return at
}

func (le *Learner) carryOut(order heartbeat.Order, now time.Time) {
	switch p := le.probes[order.Flow]; order.Verb {
	case heartbeat.Open:
		le.open(order, now)
	case heartbeat.Test:
		if p != nil {
			le.test(p, now)
		}
	case heartbeat.Close:
		if p != nil && !le.retire(p) {
			p.cancel()
		}
	}
}

// test ends the silence of p, if that may be paid.
func (le *Learner) test(p *probe, now time.Time) {
	if !p.canary && le.budget.Left(now) < oneTest {
		le.search.Gone(p.flow)
		delete(le.probes, p.flow)
		p.cancel()
		if len(le.probes) == 0 {
			le.rest(now)
		}
		return
	}
	le.asking = now
	le.status.tested(p.canary)
	if cost := nonceCost(p.o.topic, p.o.e.Secure); p.flow != le.quiet {
		le.status.spent(cost)
		if !p.canary {
			le.budget.Spend(cost, now)
		}
	}
	p.trials <- trial{main: le.main, quiet: p.flow == le.quiet}
}

// open starts a probe session, if it may be paid.
func (le *Learner) open(order heartbeat.Order, now time.Time) {
	canary := order.Canary
	if !canary && !le.affordable(now).Equal(now) {
		if le.search.Gone(order.Flow); len(le.probes) == 0 {
			le.rest(now)
		}
		return // what is open goes on
	}
	if canary && le.quiet == quietNext {
		le.quiet = order.Flow
	}
	if canary && order.Flow != le.quiet && le.revive(order.Flow) {
		return
	}
	s := le.main
	slot := le.freeSlot()
	ctx, cancel := context.WithCancel(le.ctx)
	p := &probe{le: le, flow: order.Flow, slot: slot, canary: canary, trials: make(chan trial, 1), again: make(chan struct{}, 1), cancel: cancel,
		o: probeOptions{e: s.Endpoint(), clientID: le.o.ClientID(slot), topic: le.o.Topic(slot), path: s.Path(),
			keepalive: uint16(s.Endpoint().AllowedKeepalive(le.env.Keepalive) / time.Second), patience: le.env.Dialer.HandshakeTime()}}
	if canary && !le.shortCanary {
		p.o.keepalive = max(p.o.keepalive, canaryKeepalive)
	}
	le.probes[order.Flow] = p
	le.env.Go(func() { p.run(ctx) })
}

func (le *Learner) freeSlot() int {
	for n := 1; ; n++ {
		taken := le.pair.slot == n || le.canary != nil && le.canary.slot == n
		if !taken && !slices.ContainsFunc(le.all(), func(p *probe) bool { return p.slot == n }) {
			return n
		}
	}
}

// drop ends all probes: their path is no longer that of the main link.
func (le *Learner) drop() {
	for flow, p := range le.probes {
		le.search.Gone(flow)
		p.cancel()
		delete(le.probes, flow)
	}
	if le.canary != nil {
		le.canary.cancel()
		le.canary = nil
	}
	le.unpair()
}

// judge sets the beat by what is proven.
func (le *Learner) judge(now time.Time) {
	if le.weak != nil {
		le.weak.judge(le, now)
		return
	}
	proven := le.search.Safe()
	want, top := max(proven-margin(proven), le.o.Min), min(le.o.Max, le.main.Keepalive())
	if want > top-lateTimers { // the margin is far larger, and a cap is a round number
		want = top
	}
	switch {
	case le.level() == Exhausted:
		if le.longest = true; le.interval != top {
			le.set(top, "the budget of the month is used up: the longest beat, proven or not", now)
		}
	case want > le.interval:
		le.set(want, fmt.Sprintf("silence of %v was survived by three connections", proven.Round(time.Millisecond)), now)
	case want < le.interval && le.longest:
		le.longest = false
		le.set(want, "there is a budget again", now)
	case want < le.interval:
		le.set(want, fmt.Sprintf("a connection did not survive what others had: only %v is proven now", proven.Round(time.Millisecond)), now)
	}
	le.classify()
	le.adapt(now)
	le.remember(now)
}

// set changes the beat of the main link, at once.
func (le *Learner) set(d time.Duration, why string, now time.Time) {
	le.interval, le.reason = d, why
	if le.main != nil {
		le.main.SetInterval(d)
	}
}

// margin is what the beat stays below what is proven: 4 %, 1 s at least, 8 s at most.
func margin(proven time.Duration) time.Duration {
	return min(max(proven/25, time.Second), 8*time.Second)
}
