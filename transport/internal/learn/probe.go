package learn

import (
	"context"
	"errors"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	armDelay   = 200 * time.Millisecond // after PINGRESP: a delayed acknowledgement of ours is no silence
	armSoon    = 20 * time.Millisecond  // where the kernel sent it at our word
	lateNonce  = 2 * time.Second        // after the main link's PUBACK: the nonce did not get through
	staleNonce = 10 * time.Second       // after it was written: an arrival proves nothing any more
	slowMain   = 2 * time.Second        // a PUBACK that took longer makes a loss doubtful
	afterLoss  = 5 * time.Second        // for the answer that tells loose from strict
)

// errDenied says that the server does not let a probe session in, or does not carry its messages.
var errDenied = errors.New("probe denied")

// probe is one flow of the search: a probe session on a goroutine of its own, which reports to the learner what happened.
type probe struct {
	le     *Learner
	flow   int
	slot   int // the n of its client id and topic
	o      probeOptions
	canary bool
	tests  chan silenceTest
	again  chan struct{} // of a canary that rests: it is to be tested again
	cancel context.CancelFunc
	conn   *probeConn // of run
	spent  int64      // of the learner: what was booked of its cost
	failed int64      // of run: what it cost to fail to open it
	held   bool       // of the learner: what its end means is decided a moment later
}

// silenceTest ends the silence of a probe and finds out whether the mapping lived: the main link publishes, or, quiet, the probe
// itself pings.
type silenceTest struct {
	main  MainLink
	quiet bool
}

// run opens the session, arms it, and waits for tests until the session or ctx ends.
func (p *probe) run(ctx context.Context) {
	defer p.le.do(func() { p.le.flows.ended(p) })
	c, err := p.le.flows.dial(ctx, p.o, &p.failed)
	if err == nil {
		defer c.close()
		p.le.do(func() { p.conn = c; p.le.flows.opened(p) })
		if p.le.flows.mayEcho(p.o.e) {
			err = c.echo(ctx, p.le.nonces.fresh(), p.o.patience)
		}
	}
	if err != nil {
		p.le.do(func() { p.le.flows.refused(p, err) })
		return
	}
	for p.arm(ctx, c) && p.wait(ctx, c) && p.rest(ctx, c) {
	}
}

// rest keeps a canary that came back for the next time: on a loose path its own ping revives it, which is cheaper than another
// handshake. Others go on at once.
func (p *probe) rest(ctx context.Context, c *probeConn) bool {
	if !p.canary {
		return true
	}
	for {
		select {
		case <-p.again:
			return true
		case _, ok := <-c.Packets():
			if !ok {
				return false
			}
		case <-ctx.Done():
			return false
		}
	}
}

// arm ends with a silence of our own making.
func (p *probe) arm(ctx context.Context, c *probeConn) bool {
	if err := c.Ping(ctx, p.o.patience); err != nil {
		return false
	}
	delay := armDelay
	if netdial.AckNow(c.s.Raw.Conn) {
		delay = armSoon
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// wait is the silence, up to the end of a test. False: the session is of no more use.
func (p *probe) wait(ctx context.Context, c *probeConn) bool {
	since, boot := time.Now(), bootTime()
	p.le.do(func() { p.le.flows.armed(p, since) })
	select {
	case t := <-p.tests:
		if len(c.Packets()) > 0 {
			return true // it came first: the silence is over, and as long as it seems it was not
		}
		if t.quiet {
			p.quietTest(ctx, c, t.main)
			return false
		}
		return p.runTest(ctx, c, t, since, boot)
	case _, ok := <-c.Packets():
		if !ok {
			p.le.do(func() { p.le.flows.cut(p, time.Since(since), sleptSince(boot, since), c.Err()) })
		}
		return ok // our acknowledgement of it broke the silence: arm again
	case <-ctx.Done():
		return false
	}
}

// runTest is one test: the silence ends when the main link writes a nonce to our topic.
func (p *probe) runTest(ctx context.Context, c *probeConn, t silenceTest, since time.Time, boot time.Duration) bool {
	nonce, asked, foreign := p.le.nonces.fresh(), time.Now(), false
	gap := asked.Sub(since)
	c.Expect(nonce)
	defer c.Expect()
	a, err := t.main.Publish(ctx, p.o.topic, nonce)
	if err != nil {
		return false
	}
	late := time.NewTimer(time.Hour)
	defer late.Stop()
	var took time.Duration
	for acked := a.Done(); ; {
		select {
		case m, ok := <-c.Packets():
			switch now := time.Now(); {
			case !ok:
				p.le.do(func() { p.le.flows.cut(p, gap, sleptSince(boot, since), c.Err()) })
				return false
			case m.Foreign:
				foreign = true
			case m.Kind == codec.TypePublish && now.Sub(asked) <= staleNonce:
				p.le.do(func() { p.le.flows.delivered(p, gap, now) })
				return true
			}
		case <-acked:
			if a.Err() != nil {
				return false
			}
			acked, took = nil, time.Since(asked)
			late.Reset(lateNonce)
		case <-late.C:
			if took > slowMain || foreign || sleptSince(boot, since) {
				return false // void: what others sent got through, and may have pushed the nonce out of the server's queue
			}
			p.le.do(func() { p.le.flows.lost(p, gap, took, t.main) })
			t.main.Ping()
			p.classifyAfterLoss(ctx, c)
			netdial.Abort(c.s.Raw.Conn)
			return false
		case <-t.main.Ended():
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// classifyAfterLoss pings after a loss: an answer means that the path is loose, as pings could not have seen the loss. A reset
// may come from a NAT, or from a server that got one from the NAT.
func (p *probe) classifyAfterLoss(ctx context.Context, c *probeConn) {
	asked := time.Now()
	err := c.Ping(ctx, afterLoss)
	p.le.do(func() { p.le.canaries.kindSeen(err, asked, false) })
}

// quietTest pings after a silence in which nothing was published to the probe, so that only the path can be the reason of what
// happens.
func (p *probe) quietTest(ctx context.Context, c *probeConn, t MainLink) {
	asked := time.Now()
	t.Ping() // which shows whether there is an outage
	err := c.Ping(ctx, afterLoss)
	p.le.do(func() { p.le.canaries.kindSeen(err, asked, true) })
}
