package learn

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	sayFailures = 3 // sessions in a row that could not be opened are shown in Why
	shutOut     = 8 // so many, all closed by a server that keeps the main link, count as a denial
)

// flows are the probe sessions of the search, and what they report to the learner; on its loop.
type flows struct {
	le        *Learner
	byFlow    map[int]*probe // by flow
	paused    time.Time      // no new session before: the last one could not be opened
	failures  int            // to open one, in a row
	lastError string         // the last of them
}

func (f *flows) all() []*probe { return slices.Collect(maps.Values(f.byFlow)) }

func (f *flows) carryOut(order heartbeat.Order, now time.Time) {
	switch p := f.byFlow[order.Flow]; order.Verb {
	case heartbeat.Open:
		f.open(order, now)
	case heartbeat.Test:
		if p != nil {
			f.test(p, now)
		}
	case heartbeat.Close:
		if p != nil && !f.le.canaries.retire(p) {
			p.cancel()
		}
	}
}

// test ends the silence of p, if that may be paid.
func (f *flows) test(p *probe, now time.Time) {
	if !p.canary && f.le.spending.budget.Left(now) < oneTest {
		f.le.search.Gone(p.flow)
		delete(f.byFlow, p.flow)
		p.cancel()
		if len(f.byFlow) == 0 {
			f.le.spending.rest(now)
		}
		return
	}
	f.le.denials.asking = now
	f.le.status.tested(p.canary)
	if cost := nonceCost(p.o.topic, p.o.e.Scheme.TLS); p.flow != f.le.canaries.quiet {
		f.le.status.spent(cost)
		if !p.canary {
			f.le.spending.budget.Spend(cost, now)
		}
	}
	p.tests <- silenceTest{main: f.le.main, quiet: p.flow == f.le.canaries.quiet}
}

// open starts a probe session, if it may be paid.
func (f *flows) open(order heartbeat.Order, now time.Time) {
	canary := order.Canary
	if !canary && !f.le.spending.affordable(now).Equal(now) {
		if f.le.search.Gone(order.Flow); len(f.byFlow) == 0 {
			f.le.spending.rest(now)
		}
		return // what is open goes on
	}
	if f.le.strangers.trying && len(f.byFlow) > 0 {
		f.le.search.Gone(order.Flow)
		return
	}
	if f.le.strangers.resting(now) && !canary {
		f.le.search.Gone(order.Flow)
		return
	}
	if canary && f.le.canaries.quiet == quietNext {
		f.le.canaries.quiet = order.Flow
	}
	if canary && order.Flow != f.le.canaries.quiet && f.le.canaries.revive(order.Flow) {
		return
	}
	if !f.le.strangers.spare(now) {
		f.le.search.Gone(order.Flow)
		return
	}
	slot := f.freeSlot()
	ctx, cancel := context.WithCancel(f.le.ctx)
	p := &probe{le: f.le, flow: order.Flow, slot: slot, canary: canary, cancel: cancel,
		tests: make(chan silenceTest, 1), again: make(chan struct{}, 1),
		o: f.le.probeOptions(slot, !canary || f.le.canaries.short)}
	f.byFlow[order.Flow] = p
	f.le.env.Go(func() { p.run(ctx) })
}

func (f *flows) freeSlot() int {
	for n := 1; ; n++ {
		taken := f.le.pair.slot == n || f.le.canaries.resting != nil && f.le.canaries.resting.slot == n
		if !taken && !slices.ContainsFunc(f.all(), func(p *probe) bool { return p.slot == n }) {
			return n
		}
	}
}

// drop ends the probes, but for those that are kept.
func (f *flows) drop(keep func(p *probe) bool) {
	for flow, p := range f.byFlow {
		if keep(p) {
			continue
		}
		f.le.search.Gone(flow)
		p.cancel()
		delete(f.byFlow, flow)
	}
}

// dropAll ends all of them: their path is no longer that of the main link.
func (f *flows) dropAll() {
	f.drop(func(*probe) bool { return false })
	if f.le.canaries.resting != nil {
		f.le.canaries.resting.cancel()
		f.le.canaries.resting = nil
	}
	f.le.pair.end()
}

const retryMin = 10 * time.Second // between attempts to open a probe session that failed

const retryMax = 10 * time.Minute

// mayEcho reports whether a probe must hear itself first; asked on the probe's goroutine.
func (f *flows) mayEcho(e *netdial.Endpoint) bool { return !f.le.status.hasEchoed(e) }

func (f *flows) opened(*probe) { f.le.status.opened() }

func (f *flows) armed(p *probe, at time.Time) {
	f.le.status.setEchoed(p.o.e)
	f.failures, f.lastError = 0, ""
	if f.byFlow[p.flow] != p {
		return
	}
	f.le.spending.price = max(f.le.spending.price, p.conn.s.Raw.Cost()+oneTest)
	f.le.search.Armed(p.flow, at)
}

func (f *flows) delivered(p *probe, gap time.Duration, at time.Time) {
	if f.byFlow[p.flow] != p {
		return
	}
	f.le.strangers.trying = f.le.strangers.trying && f.le.strangers.resting(at)
	if gap >= f.le.canaries.gap() {
		f.le.canaries.seen = at
	}
	f.le.denials.carried[p.o.e], f.le.denials.hungUp[p.o.e] = true, 0
	if p.canary {
		f.le.canaries.doubtful = 0
	}
	f.le.search.Delivered(p.flow, gap, at)
}

// lost is called when the nonce of a test did not get through, though the server acknowledged it to the main link: after gap of
// silence, and up to took more, as it is not known when, in the time until the acknowledgement, the server sent it.
func (f *flows) lost(p *probe, gap, took time.Duration, main MainLink) {
	if f.byFlow[p.flow] != p {
		return
	}
	proven := f.le.search.Safe()
	if p.canary && f.le.main == main && gap < proven && gap+took >= proven && f.le.canaries.doubtful == 0 {
		f.le.canaries.doubtful++ // it may have been silent for longer than is proven: at the next beat again
		f.le.canaries.watched = time.Time{}
		f.le.search.Gone(p.flow)
		return
	}
	f.le.search.Lost(p.flow, gap, heartbeat.Evidence{MainAlive: true, SamePath: f.le.main == main, Took: took})
	if p.canary && gap < proven && f.le.main == main {
		f.le.shrink(proven, gap, time.Now())
	}
}

// cut is called when a silent session was ended by the other side. A server that ends all its sessions, or one that heard
// nothing for 1.5 times the keepalive, says nothing about the path.
func (f *flows) cut(p *probe, silence time.Duration, slept bool, err error) {
	if f.byFlow[p.flow] != p {
		return
	}
	if ended(err) {
		f.le.search.Gone(p.flow)
		return
	}
	keepalive := time.Duration(p.o.keepalive) * time.Second
	kind := faults.Of(err, time.Now()).Kind
	if main, search := f.le.main, f.le.search; main != nil && kind == faults.OutcomeClosed && !slept && silence < keepalive*5/4 {
		f.le.search.Hold(p.flow)
		p.held = true
		main.Ping()
		time.AfterFunc(lateNonce, func() {
			f.le.do(func() {
				if f.le.search != search {
					return // another epoch
				}
				same := f.le.main == main
				alive := same && main.HeardSince(time.Now().Add(-lateNonce))
				f.le.search.Lost(p.flow, silence, heartbeat.Evidence{MainAlive: alive, SamePath: same, Closed: true})
			})
		})
		return
	}
	f.le.search.Gone(p.flow)
}

// refused is called when a session could not be opened.
func (f *flows) refused(p *probe, err error) {
	if f.byFlow[p.flow] != p || f.le.main == nil {
		return
	}
	now := time.Now()
	if ended(err) {
		f.le.search.Gone(p.flow)
		return
	}
	if errors.Is(err, errDenied) && p.canary && p.o.keepalive == canaryKeepalive {
		f.le.canaries.short = true // asked again at the next canary
		f.le.search.Gone(p.flow)
		return
	}
	if errors.Is(err, errDenied) {
		f.le.denials.until[p.o.e] = now.Add(deniedFor)
		f.le.denials.why = err.Error()
		f.le.pingOnly.begin(now.Add(deniedFor), now)
		return
	}
	f.le.search.Gone(p.flow)
	if !f.paused.After(now) { // of those that were opened together, one counts
		f.paused = now.Add(min(retryMin<<min(f.failures, 8), retryMax))
		f.failures++
	}
	if f.lastError = err.Error(); f.failures >= shutOut && faults.Of(err, now).Kind == faults.OutcomeClosed {
		f.failures, f.le.denials.until[p.o.e] = 0, now.Add(deniedFor)
		f.le.denials.why = "the server closes every probe session: " + err.Error()
		f.le.pingOnly.begin(now.Add(deniedFor), now)
	}
}

// ended is called last, once for each probe.
func (f *flows) ended(p *probe) {
	p.cancel()
	if p.conn != nil {
		f.le.spending.bookOne(p, p.conn.s.Raw.FinalCost(), time.Now())
	} else {
		f.le.spending.bookOne(p, p.failed, time.Now())
	}
	if f.byFlow[p.flow] == p {
		delete(f.byFlow, p.flow)
		if !p.held {
			f.le.search.Gone(p.flow)
		}
	}
	if f.le.canaries.resting == p {
		f.le.canaries.resting = nil
	}
	if f.le.canaries.quiet == p.flow {
		f.le.canaries.quiet = 0
	}
	f.le.spending.save()
}
