package learn

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/internal/client"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// Canary "pair": at the end of each interval a second session publishes to the main link's own probe topic. What arrives proves
// the very flow that commands come through, and its acknowledgement by our kernel re-arms that flow like a ping would; the
// publish re-arms the second one. MQTT's own keepalive still wants a packet of ours now and then, which the beat takes care of.

const (
	pairSlot = 0                                // its topic is the main link's
	pairLead = lateNonce + 500*time.Millisecond // before the beat's own ping, which would revive a loose path
)

// pairing is the learner's side of it, on its loop.
type pairing struct {
	le         *Learner
	muted      bool       // the main link does not hear its topic
	unheard    bool       // what was sent last did not come, and neither did anything before
	ownMapping bool       // the second session was silent for too long once, so from then on it pings to keep its own mapping
	conn       *probeConn // nil: none yet
	slot       int        // the n of its client id; 0: none
	cancel     context.CancelFunc
	opening    bool
	nonce      []byte
	sent       time.Time     // when the nonce was published; zero: none is awaited
	spoke      time.Time     // last packet of the second session
	proven     time.Time     // last time that the main link heard it; zero: it never did
	missed     time.Time     // what was sent did not come, and the main link was pinged; zero: nothing is missing
	spent      int64         // what was booked of its cost
	silence    time.Duration // of the second session before it sent
	retry      time.Time
}

// PairTopic is where the main link hears its pair; empty: there is none.
func (le *Learner) PairTopic() string {
	if !le.o.Canary.Pair || le.o.Topic == nil {
		return ""
	}
	return le.o.Topic(pairSlot)
}

// at is when step must be called; zero: not at all.
func (p *pairing) at() time.Time {
	switch {
	case !p.le.o.Canary.Pair, p.muted, p.le.main == nil, p.le.pingOnly.on, p.le.search.Safe() == 0,
		p.le.beat.allowed() <= p.le.o.Min:
		return time.Time{}
	case !p.missed.IsZero():
		return p.missed.Add(lateNonce)
	case !p.sent.IsZero():
		return p.sent.Add(lateNonce)
	case p.conn == nil:
		return heartbeat.Later(p.retry, p.le.main.SilentSince().Add(p.le.beat.interval/2))
	}
	own := p.spoke.Add(p.le.beat.interval - pairLead) // when the second session must speak by itself, if it must
	if (p.le.canaries.short || p.ownMapping || p.le.kind == heartbeat.Strict) && own.Before(p.due()) {
		return own
	}
	return p.due()
}

// due is the end of the main link's interval; of every other one, where each needs a ping of our own anyway.
func (p *pairing) due() time.Time {
	due := p.le.main.SilentSince().Add(p.le.beat.interval - pairLead)
	if p.keepaliveTight() {
		return heartbeat.Later(due, p.proven.Add(p.le.beat.interval*3/2))
	}
	return due
}

// keepaliveTight reports that the keepalive of CONNECT is too short for an interval without a ping.
func (p *pairing) keepaliveTight() bool { return p.le.main.Keepalive() < 2*p.le.beat.interval }

// step publishes when it is time, and acts when nothing came.
func (p *pairing) step(now time.Time) {
	at := p.at()
	if p.conn != nil && !p.muted && !p.unheard {
		p.le.canaries.seen = now
	}
	if at.IsZero() || now.Before(at) {
		return
	}
	switch {
	case !p.sent.IsZero() && p.le.main.SilentSince().After(p.sent): // what we sent may have revived the path: void
		p.sent = time.Time{}
	case !p.missed.IsZero():
		p.decideMissed(now)
	case !p.sent.IsZero():
		p.sent, p.missed = time.Time{}, now
		p.le.main.Ping() // an answer says that there is no outage, and revives a loose path
	case p.conn == nil:
		p.open(now)
	case now.Before(p.due()): // the main link has spoken, but the second session has a keepalive of its own
		p.spoke = now
		conn := p.conn
		p.le.env.Go(func() { _ = conn.Send(client.Pingreq(), netdial.LastWords) })
	default:
		p.nonce, p.sent, p.silence, p.spoke = p.le.nonces.fresh(), now, now.Sub(p.spoke), now
		p.le.status.tested(true)
		conn, nonce, topic := p.conn, p.nonce, p.le.PairTopic()
		p.le.env.Go(func() { _, _ = conn.Publish(topic, nonce, probeQoS, netdial.LastWords) }) // a failure shows as silence
	}
}

// decideMissed is called lateNonce after the pair's nonce did not arrive and the main link pinged: it finds out whether that was
// an outage, the second session's mapping, the main link's, or a server that does not carry probes.
func (p *pairing) decideMissed(now time.Time) {
	alive, before := p.le.main.HeardSince(p.missed), !p.proven.IsZero()
	p.missed = time.Time{}
	switch {
	case !alive: // an outage
	case before && p.le.kind != heartbeat.Loose && p.silence > p.le.search.Safe():
		// Its own mapping may be gone: from now on it pings.
		p.end()
		p.ownMapping = true
	case before:
		p.le.shrink(p.le.search.Safe(), p.le.beat.interval, now)
	default: // the server may not carry it at all
		p.end()
		p.unheard, p.retry = true, now.Add(retryMax)
	}
}

func (p *pairing) open(now time.Time) {
	if p.opening {
		p.retry = now.Add(retryMin)
		return
	}
	if !p.le.strangers.spare(now) {
		p.retry = p.le.strangers.until
		return
	}
	ctx, cancel := context.WithCancel(p.le.ctx)
	p.opening, p.cancel = true, cancel
	p.slot = 0
	slot := p.le.flows.freeSlot()
	p.slot = slot
	o := p.le.probeOptions(slot, p.le.canaries.short)
	o.topic = "" // or strangers could end it
	p.le.env.Go(func() {
		var cost int64
		c, err := p.le.flows.dial(ctx, o, &cost)
		if err == nil {
			p.le.env.Go(func() { p.attend(ctx, c) })
		}
		p.le.do(func() {
			p.le.status.spent(cost)
			if ctx.Err() != nil {
				return // another pairing may have begun
			}
			p.opening = false
			switch {
			case err == nil:
				p.conn, p.spoke = c, time.Now()
			case errors.Is(err, errDenied) && o.keepalive == canaryKeepalive:
				p.le.canaries.short, p.retry = true, time.Now()
			default:
				p.retry = time.Now().Add(retryMax)
			}
		})
	})
}

// attend waits for the end of the pair's session.
func (p *pairing) attend(ctx context.Context, c *probeConn) {
	defer c.close()
	for {
		select {
		case _, ok := <-c.Packets():
			if !ok {
				p.le.do(func() {
					if p.conn == c {
						p.conn = nil
					}
				})
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// book enters what the second session has cost since the last look. Like canaries it is no part of the budget.
func (p *pairing) book() {
	if c := p.conn; c != nil {
		cost := c.s.Raw.Cost()
		p.le.status.spent(max(0, cost-p.spent))
		p.spent = cost
	}
}

// end ends the second session.
func (p *pairing) end() {
	p.book()
	if p.cancel != nil {
		p.cancel()
	}
	*p = pairing{le: p.le, ownMapping: p.ownMapping, muted: p.muted, unheard: p.unheard}
}

// PairHeard is called with the payload of what arrives on PairTopic, in a packet of so many bytes; retained: the server had kept
// it. foreign is called, later, when it is none of ours.
func (le *Learner) PairHeard(payload []byte, size int, retained bool, foreign func()) {
	le.do(func() {
		if !le.pair.heard(payload) && !le.nonces.ours(payload) {
			foreign()
			p := client.Packet{Kind: codec.TypePublish, Size: size, Retained: retained}
			le.strangers.heard(le.PairTopic(), p, time.Now())
		}
	})
}

// Mute says whether the main link has let go of PairTopic, as strangers cost too much: then nothing can be heard there.
func (le *Learner) Mute(on bool) {
	le.do(func() { le.pair.end(); le.pair.muted = on })
}

func (p *pairing) heard(payload []byte) (ours bool) {
	if p.le.main == nil || p.sent.IsZero() || !bytes.Equal(payload, p.nonce) {
		return false
	}
	if !p.le.main.SilentSince().After(p.sent) {
		p.le.main.Rearmed(p.keepaliveTight())
	}
	p.sent, p.proven, p.unheard = time.Time{}, time.Now(), false
	return true
}
