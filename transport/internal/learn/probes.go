package learn

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// What the probe sessions tell the learner; each of these runs on its loop.

const (
	plainSession = 2 << 10 // bytes on the wire that a probe session costs, until one was measured
	tlsSession   = 8 << 10
	oneTest      = 1 << 10 // nonce, answer, ping, and the end of the session
	restSessions = 4       // that a rest saves for
	fastSessions = 12      // that a burst must pay for at once, or fast is out of reach
	sayFailures  = 3       // sessions in a row that could not be opened are worth a word
	shutOut      = 8       // and so many, all closed by a server that keeps the main link, are a denial
)

// nonceCost is what the main link pays for one nonce: PUBLISH, PUBACK and their acknowledgements.
func nonceCost(topic string, secure bool) int64 {
	n := int64(2+2+len(topic)+2+16) + 4 + 4*netdial.Headers4
	if secure {
		n += 2 * 22 // records of TLS 1.3
	}
	return n
}

func (le *Learner) all() []*probe { return slices.Collect(maps.Values(le.probes)) }

// mayEcho reports whether a probe must hear itself first; asked on the probe's goroutine.
func (le *Learner) mayEcho(e *netdial.Endpoint) bool { return !le.status.hasEchoed(e) }

func (le *Learner) opened(*probe) { le.status.opened() }

func (le *Learner) armed(p *probe, at time.Time) {
	le.status.setEchoed(p.o.e)
	le.failures, le.lastError = 0, ""
	if le.probes[p.flow] != p {
		return
	}
	le.price = max(le.price, p.conn.s.Raw.Cost()+oneTest)
	le.search.Armed(p.flow, at)
}

func (le *Learner) delivered(p *probe, gap time.Duration, at time.Time) {
	if le.probes[p.flow] != p {
		return
	}
	le.carried[p.o.e], le.hungUp[p.o.e] = true, 0
	if p.canary {
		le.doubtful = 0
	}
	le.search.Delivered(p.flow, gap, at)
}

// lost is called when the nonce of a trial did not get through, though the server acknowledged it to the main link: after gap of
// silence, and up to took more, as nobody knows when in the time until the acknowledgement the server sent it.
func (le *Learner) lost(p *probe, gap, took time.Duration, main MainLink) {
	if le.probes[p.flow] != p {
		return
	}
	proven := le.search.Safe()
	if p.canary && le.main == main && gap < proven && gap+took >= proven && le.doubtful == 0 {
		le.doubtful++ // it may have been silent for longer than is proven: at the next beat again
		le.watched = time.Time{}
		le.search.Gone(p.flow)
		return
	}
	le.search.Lost(p.flow, gap, heartbeat.Evidence{MainAlive: true, SamePath: le.main == main, Took: took})
	if p.canary && gap < proven && le.main == main {
		le.shrink(proven, gap, time.Now())
	}
}

// shrink begins anew below what failed.
func (le *Learner) shrink(proven, failing time.Duration, now time.Time) {
	why := fmt.Sprintf("the path forgot a connection after %v: its limit is shorter now", failing.Round(time.Millisecond))
	le.status.shrunk()
	le.epoch(le.main, now, heartbeat.Knowledge{Proven: proven, Failing: failing}, why)
}

// cut is called when a silent session was ended by the other side. A server that ends all its sessions, or one that heard
// nothing for 1.5 times the keepalive, says nothing about the path.
func (le *Learner) cut(p *probe, silence time.Duration, slept bool, err error) {
	if le.probes[p.flow] != p {
		return
	}
	keepalive := time.Duration(p.o.keepalive) * time.Second
	kind := faults.Of(err, time.Now()).Kind
	if main, search := le.main, le.search; main != nil && kind == faults.OutcomeClosed && !slept && silence < keepalive*5/4 {
		le.search.Hold(p.flow)
		p.held = true
		main.Ping()
		time.AfterFunc(lateNonce, func() {
			le.do(func() {
				if le.search != search {
					return // another epoch
				}
				le.search.Lost(p.flow, silence, heartbeat.Evidence{MainAlive: le.main == main && main.HeardSince(time.Now().Add(-lateNonce)), SamePath: le.main == main, Closed: true})
			})
		})
		return
	}
	le.search.Gone(p.flow)
}

// refused is called when a session could not be opened.
func (le *Learner) refused(p *probe, err error) {
	if le.probes[p.flow] != p || le.main == nil {
		return
	}
	now := time.Now()
	if errors.Is(err, errDenied) && p.canary && p.o.keepalive == canaryKeepalive {
		le.shortCanary = true // asked again at the next canary
		le.search.Gone(p.flow)
		return
	}
	if errors.Is(err, errDenied) {
		le.denied[p.o.e] = now.Add(deniedFor)
		le.why = err.Error()
		le.weaken(now.Add(deniedFor), now)
		return
	}
	le.search.Gone(p.flow)
	if !le.paused.After(now) { // of those that were opened together, one counts
		le.paused = now.Add(min(retryMin<<min(le.failures, 8), retryMax))
		le.failures++
	}
	if le.lastError = err.Error(); le.failures >= shutOut && faults.Of(err, now).Kind == faults.OutcomeClosed {
		le.failures, le.denied[p.o.e], le.why = 0, now.Add(deniedFor), "the server closes every probe session: "+err.Error()
		le.weaken(now.Add(deniedFor), now)
	}
}

// ended is called last, once for each probe.
func (le *Learner) ended(p *probe) {
	p.cancel()
	if p.conn != nil {
		le.bookOne(p, p.conn.s.Raw.FinalCost(), time.Now())
	} else {
		le.bookOne(p, p.failed, time.Now())
	}
	if le.probes[p.flow] == p {
		delete(le.probes, p.flow)
		if !p.held {
			le.search.Gone(p.flow)
		}
	}
	if le.canary == p {
		le.canary = nil
	}
	if le.quiet == p.flow {
		le.quiet = 0
	}
	le.saveBudget()
}

// kindSeen is called with the answer to a ping, sent at asked, after a silence that was too long. A probe that was stopped meanwhile
// saw nothing, and one beside a main link that heard nothing either saw an outage.
func (le *Learner) kindSeen(err error, asked time.Time, quiet bool) {
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil && faults.Of(err, asked).Kind == faults.OutcomeSilence && (le.main == nil || !le.main.HeardSince(asked)):
		le.asked = le.asked && !quiet // once more
	case err == nil:
		le.kind = heartbeat.Loose
	case quiet, !faults.IsReset(err) && faults.Of(err, time.Now()).Kind != faults.OutcomeClosed:
		le.kind = heartbeat.Strict
	}
}

// classify asks once, when all else is settled, what kind of path it is.
func (le *Learner) classify() {
	failing, _ := le.search.Failing()
	if le.kind == heartbeat.Unknown && !le.asked && failing > 0 && le.search.Settled() {
		le.asked, le.quiet = true, quietNext
		le.search.Canary(share(failing, quietPart))
	}
}

// watch sends a canary when it is time.
func (le *Learner) watch(now time.Time) {
	if at := le.canaryAt(); at.IsZero() || now.Before(at) {
		return
	}
	gap := le.canaryGap()
	le.watched = now.Add(gap)
	le.search.Canary(gap)
}

// canaryAt is when the next canary falls silent; zero: none does.
func (le *Learner) canaryAt() time.Time {
	every := le.o.Canary.Every
	switch {
	case le.o.Canary.Off, le.o.Canary.Pair, le.weak != nil, le.search.Safe() == 0, le.interval <= le.o.Min:
		return time.Time{}
	case every == 0 && le.kind == heartbeat.Strict:
		return time.Time{}
	case every == 0:
		every = autoCanary
	}
	return le.watched.Add(time.Duration(every)*le.interval - le.canaryGap())
}

// canaryGap is a little more than the interval, and still less than what is proven.
func (le *Learner) canaryGap() time.Duration {
	return min(share(le.interval, canaryPart), le.interval+(le.search.Safe()-le.interval)*3/4)
}

func share(d time.Duration, part float64) time.Duration { return time.Duration(float64(d) * part) }

// retire lets a canary that was delivered rest; false: it is none, or one rests already.
func (le *Learner) retire(p *probe) bool {
	if !p.canary || le.canary != nil {
		return false
	}
	delete(le.probes, p.flow)
	le.canary = p
	return true
}

// revive sends the canary that rests.
func (le *Learner) revive(flow int) bool {
	p := le.canary
	if p == nil {
		return false
	}
	le.canary, p.flow = nil, flow
	le.probes[flow] = p
	p.again <- struct{}{} // never blocks: it rests, and is sent once
	return true
}

// book enters what the open sessions have cost since the last look.
func (le *Learner) book(now time.Time) {
	le.bookPair()
	for _, p := range le.probes {
		if p.conn != nil {
			le.bookOne(p, p.conn.s.Raw.Cost(), now)
		}
	}
}

func (le *Learner) bookOne(p *probe, cost int64, now time.Time) {
	n := cost - p.spent
	if n <= 0 {
		return
	}
	p.spent = cost
	le.status.spent(n)
	if !p.canary {
		le.budget.Spend(n, now)
	}
}

// estimate is what one more session may cost.
func (le *Learner) estimate() int64 {
	switch {
	case le.price > 0:
		return le.price
	case le.env.Secure:
		return tlsSession
	}
	return plainSession
}

// affordable is when one more session may be opened, so that all that are open, or about to be, can still be used; zero: never.
func (le *Learner) affordable(now time.Time) time.Time {
	need := le.estimate()
	for _, p := range le.probes {
		if !p.canary {
			need += oneTest + max(0, le.estimate()-oneTest-p.spent)
		}
	}
	return le.budget.Affords(need, now)
}

// rest waits until there is money for more than one session: a search that must stop again at once would only waste it.
func (le *Learner) rest(now time.Time) {
	enough := max(le.estimate(), min(restSessions*le.estimate(), le.o.Budget.Burst))
	until := le.budget.Affords(enough, now)
	if until.IsZero() {
		until = now.Add(deniedFor)
	}
	le.resting, le.rested = true, until
	le.search.Rest(true)
}

func (le *Learner) saveBudget() {
	if le.o.Memory != nil {
		le.o.Memory.SaveBudget(le.budget.State())
	}
}

// remember keeps what was learnt. A search that has only begun again does not overwrite what an earlier one found.
func (le *Learner) remember(now time.Time) {
	if le.search == nil || le.o.Memory == nil || le.path == "" {
		return
	}
	k := le.search.Knowledge()
	k.Kind = le.kind
	better := k.Proven > le.known.Proven || le.search.Settled() && k.Known()
	changed := k.Proven != le.known.Proven || k.Failing != le.known.Failing || k.Kind != le.known.Kind || k.At.Sub(le.known.At) >= 24*time.Hour
	if better && changed {
		le.known = k
		le.o.Memory.Remember(le.path, k)
	}
}
