package learn

import (
	"context"
	"errors"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

const (
	canaryPart      = 1.03  // of the interval
	canaryKeepalive = 65535 // seconds: a canary rests for many intervals
	autoCanary      = 25
	pairLapse       = 4    // beats without a pair
	quietPart       = 1.05 // of the failing gap
	quietNext       = -1   // the next canary is the quiet test
	askAgain        = 2    // times: each costs a session, beside the budget, and a main link that is slow looks like an outage
)

// canaries watch a loose path for a limit that shrinks, and ask what kind of path it is; on the learner's loop.
type canaries struct {
	le       *Learner
	resting  *probe    // between two tests; nil: none
	short    bool      // the server does not take canaryKeepalive
	watched  time.Time // the last test
	seen     time.Time // when it last turned out that the path allows the beat, or the epoch began
	doubtful int       // in a row that may have been silent for too long
	quiet    int       // flow of a quiet test, or quietNext; 0: none
	asked    bool      // what kind of path it is
	unsure   int       // times that an outage took the answer to that
	lean     bool      // the budget was low when the loop last looked
}

// classify asks once, when all else is settled, what kind of path it is.
func (c *canaries) classify() {
	failing, _ := c.le.search.Failing()
	if c.le.kind == heartbeat.Unknown && !c.asked && failing > 0 && c.le.search.Settled() {
		c.asked, c.quiet = true, quietNext
		c.le.search.Canary(heartbeat.Share(failing, quietPart))
	}
}

// kindSeen is called with the answer to a ping, sent at asked, after a silence that was too long. A probe that was stopped
// meanwhile saw nothing, and one beside a main link that heard nothing either saw an outage.
func (c *canaries) kindSeen(err error, asked time.Time, quiet bool) {
	switch {
	case errors.Is(err, context.Canceled):
	case err != nil && faults.Of(err, asked).Kind == faults.OutcomeSilence && (c.le.main == nil || !c.le.main.HeardSince(asked)):
		if quiet && c.unsure < askAgain {
			c.unsure, c.asked = c.unsure+1, false
		}
	case err == nil:
		c.le.kind = heartbeat.Loose
	case quiet, !faults.IsReset(err) && faults.Of(err, time.Now()).Kind != faults.OutcomeClosed:
		c.le.kind = heartbeat.Strict
	}
}

// watch sends a canary when it is time.
func (c *canaries) watch(now time.Time) {
	if at := c.at(); at.IsZero() || now.Before(at) {
		return
	}
	gap := c.gap()
	c.watched = now.Add(gap)
	c.le.search.Canary(gap)
}

// at is when the next canary falls silent; zero: none does.
func (c *canaries) at() time.Time {
	every := c.le.o.Canary.Every
	switch {
	case c.le.o.Canary.Off, c.le.o.Canary.Pair, c.le.pingOnly.on, c.le.search.Safe() == 0, c.le.beat.allowed() <= c.le.o.Min:
		return time.Time{}
	case every == 0 && c.le.kind == heartbeat.Strict:
		return time.Time{}
	}
	return c.watched.Add(c.period() - c.gap())
}

// period is the time from one canary to the next.
func (c *canaries) period() time.Duration {
	every := c.le.o.Canary.Every
	if every == 0 {
		every = autoCanary
	}
	return time.Duration(every) * c.le.beat.allowed()
}

// lapses is when the watch must have seen something again, or what is proven holds no more: one canary may fail for reasons of
// its own, and a pair, which is there at each beat, may take a while to come back. Zero: nothing has to be watched.
func (c *canaries) lapses() time.Time {
	watch := c.le.o.Canary
	switch {
	case watch.Off, c.le.kind == heartbeat.Strict, c.le.pingOnly.on, c.le.level() > Normal,
		c.le.beat.allowed() <= c.le.beat.weakest():
		return time.Time{}
	case watch.Pair:
		return c.seen.Add(max(pairLapse*c.le.beat.allowed(), 2*retryMax))
	}
	return c.seen.Add(2*c.period() + 2*c.gap())
}

// blind reports that nothing watches the path, though its limit could shrink and no ping would tell.
func (c *canaries) blind(now time.Time) bool {
	at := c.lapses()
	return !at.IsZero() && !now.Before(at)
}

// gap is a little more than the interval, and still less than what is proven.
func (c *canaries) gap() time.Duration {
	beat := c.le.beat.allowed()
	return min(heartbeat.Share(beat, canaryPart), beat+(c.le.search.Safe()-beat)*3/4)
}

// retire lets a canary that was delivered rest; false: it is none, or one rests already.
func (c *canaries) retire(p *probe) bool {
	if !p.canary || c.resting != nil {
		return false
	}
	delete(c.le.flows.byFlow, p.flow)
	c.resting = p
	return true
}

// revive sends the canary that rests.
func (c *canaries) revive(flow int) bool {
	p := c.resting
	if p == nil {
		return false
	}
	c.resting, p.flow = nil, flow
	c.le.flows.byFlow[flow] = p
	p.again <- struct{}{} // never blocks: it rests, and is sent once
	return true
}
