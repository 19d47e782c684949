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
	gone   chan struct{}   // closed when Run has ended
	ctx    context.Context // of the probes; set by Run

	search *heartbeat.Search   // of the epoch; nil: nothing to learn
	main   MainLink            // nil: down
	path   string              // that the epoch is of
	known  heartbeat.Knowledge // what an earlier epoch of path has left
	kind   heartbeat.Kind      // of path
	forgot time.Duration       // the silence after which the main link was forgotten; 0: it was not

	beat struct {
		interval time.Duration
		reason   string // of its last change
		longest  bool   // it is at its longest, proven or not
	}

	flows    flows
	canaries canaries
	pair     pairing
	weak     weakBeat
	purse    purse
	denials  denials
	keep     keepalives

	budgetLevel atomic.Int32 // Level
	status      status
}

// New returns one that has not begun. Its status is that of a link that is not up.
func New(o Options, env Env) *Learner {
	now := time.Now()
	kept := heartbeat.BudgetState{}
	if o.Memory != nil {
		kept = o.Memory.Budget()
	}
	le := &Learner{env: env, o: o, events: make(chan func(), backlog), gone: make(chan struct{})}
	le.flows = flows{le: le, by: map[int]*probe{}}
	le.canaries, le.pair, le.weak, le.keep = canaries{le: le}, pairing{le: le}, weakBeat{le: le}, keepalives{le: le}
	le.purse = purse{le: le, budget: heartbeat.NewBudget(o.Budget, kept, now)}
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
	if o.Mode == heartbeat.Fast && le.o.Budget.Burst > 0 && le.o.Budget.Burst < heartbeat.FastSessions*le.purse.estimate() {
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
	for _, p := range le.flows.by {
		if p.conn != nil {
			le.purse.bookOne(p, p.conn.s.Raw.FinalCost(), now)
		}
	}
	le.purse.save()
}

// step does what is due.
func (le *Learner) step(now time.Time) {
	if le.main != nil {
		le.purse.resting = le.purse.resting && now.Before(le.purse.rested)
		frugal := le.level()
		le.search.Rest(le.purse.resting || frugal > Normal)
		le.purse.book(now)
		if !le.weak.on && !now.Before(le.flows.paused) {
			if frugal < Exhausted {
				le.canaries.watch(now)
				le.pair.step(now)
			}
			for _, order := range le.search.Next(now) {
				le.flows.carryOut(order, now)
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
	if le.weak.on {
		return le.weak.until
	}
	if now.Before(le.flows.paused) {
		return le.flows.paused
	}
	at := le.search.Wake(now)
	rested := time.Time{}
	if le.purse.resting {
		rested = le.purse.rested
	}
	canary, pair := le.canaries.at(), le.pair.at()
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

// judge sets the beat by what is proven.
func (le *Learner) judge(now time.Time) {
	if le.weak.on {
		le.weak.judge(now)
		return
	}
	proven := le.search.Safe()
	want, top := max(proven-margin(proven), le.o.Min), min(le.o.Max, le.main.Keepalive())
	if want > top-lateTimers { // the margin is far larger, and a cap is a round number
		want = top
	}
	switch {
	case le.level() == Exhausted:
		if le.beat.longest = true; le.beat.interval != top {
			le.set(top, "the budget of the month is used up: the longest beat, proven or not", now)
		}
	case want > le.beat.interval:
		le.set(want, fmt.Sprintf("silence of %v was survived by three connections", proven.Round(time.Millisecond)), now)
	case want < le.beat.interval && le.beat.longest:
		le.beat.longest = false
		le.set(want, "there is a budget again", now)
	case want < le.beat.interval:
		why := fmt.Sprintf("a connection did not survive what others had: only %v is proven now", proven.Round(time.Millisecond))
		le.set(want, why, now)
	}
	le.canaries.classify()
	le.keep.adapt(now)
	le.remember(now)
}

// set changes the beat of the main link, at once.
func (le *Learner) set(d time.Duration, why string, now time.Time) {
	le.beat.interval, le.beat.reason = d, why
	if le.main != nil {
		le.main.SetInterval(d)
	}
}

// margin is what the beat stays below what is proven: 4 %, 1 s at least, 8 s at most.
func margin(proven time.Duration) time.Duration {
	return min(max(proven/25, time.Second), 8*time.Second)
}
