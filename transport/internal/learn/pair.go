package learn

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// Canary "pair": at the end of each interval a second session publishes to the main link's own probe topic. What arrives proves
// the very flow that commands come through, and its acknowledgement by our kernel re-arms that flow like a ping would; the
// publish re-arms the second one. MQTT's own keepalive still wants a packet of ours now and then, which the beat takes care of.

const (
	pairSlot = 0                                // its topic is the main link's
	pairLead = lateNonce + 500*time.Millisecond // before the beat's own ping, which would revive a loose path
)

// pairing is the learner's side of it.
type pairing struct {
	conn    *probeConn // nil: none yet
	slot    int        // the n of its client id; 0: none
	cancel  context.CancelFunc
	opening bool
	nonce   []byte
	sent    time.Time     // zero: nothing is on its way
	spoke   time.Time     // last packet of the second session
	proven  time.Time     // last time that the main link heard it; zero: it never did
	missed  time.Time     // what was sent did not come, and the main link was pinged; zero: nothing is missing
	spent   int64         // what was booked of its cost
	silence time.Duration // of the second session before it sent
	retry   time.Time
}

// PairTopic is where the main link hears its pair; empty: there is none.
func (le *Learner) PairTopic() string {
	if !le.o.Canary.Pair || le.o.Topic == nil {
		return ""
	}
	return le.o.Topic(pairSlot)
}

// pairAt is when pairStep must be called; zero: not at all.
func (le *Learner) pairAt() time.Time {
	switch {
	case !le.o.Canary.Pair, le.main == nil, le.weak != nil, le.search.Safe() == 0, le.interval <= le.o.Min:
		return time.Time{}
	case !le.pair.missed.IsZero():
		return le.pair.missed.Add(lateNonce)
	case !le.pair.sent.IsZero():
		return le.pair.sent.Add(lateNonce)
	case le.pair.conn == nil:
		return later(le.pair.retry, le.main.SilentSince().Add(le.interval/2))
	}
	if own := le.pair.spoke.Add(le.interval - pairLead); (le.shortCanary || le.pairAlone || le.kind == heartbeat.Strict) && own.Before(le.pairDue()) {
		return own
	}
	return le.pairDue()
}

// pairDue is the end of the main link's interval; of every other one, where each needs a ping of our own anyway.
func (le *Learner) pairDue() time.Time {
	due := le.main.SilentSince().Add(le.interval - pairLead)
	if le.crowded() {
		return later(due, le.pair.proven.Add(le.interval*3/2))
	}
	return due
}

// crowded reports that CONNECT leaves no room for an interval without a ping.
func (le *Learner) crowded() bool { return le.main.Keepalive() < 2*le.interval }

// pairStep publishes when it is time, and judges when nothing came.
func (le *Learner) pairStep(now time.Time) {
	at := le.pairAt()
	if at.IsZero() || now.Before(at) {
		return
	}
	p := &le.pair
	switch {
	case !p.sent.IsZero() && le.main.SilentSince().After(p.sent): // what we sent may have revived the path: void
		p.sent = time.Time{}
	case !p.missed.IsZero():
		le.judgePair(now)
	case !p.sent.IsZero():
		p.sent, p.missed = time.Time{}, now
		le.main.Ping() // an answer says that there is no outage, and revives a loose path
	case p.conn == nil:
		le.openPair(now)
	case now.Before(le.pairDue()): // the main link has spoken, but the second session has a keepalive of its own
		p.spoke = now
		conn := p.conn
		le.env.Go(func() { _ = conn.write(packets.NewControlPacket(packets.Pingreq), netdial.LastWords) })
	default:
		p.nonce, p.sent, p.silence, p.spoke = codec.Nonce(), now, now.Sub(p.spoke), now
		le.status.tested(true)
		conn, nonce, topic := p.conn, p.nonce, le.PairTopic()
		le.env.Go(func() { _ = conn.publish(topic, nonce) }) // a failure shows as silence
	}
}

// judgePair is called a moment after what the pair had sent did not arrive.
func (le *Learner) judgePair(now time.Time) {
	p := &le.pair
	alive, before := le.main.HeardSince(p.missed), !p.proven.IsZero()
	p.missed = time.Time{}
	switch {
	case !alive: // an outage
	case before && le.kind != heartbeat.Loose && p.silence > le.search.Safe(): // its own mapping may be gone: from now on it pings
		le.unpair()
		le.pairAlone = true
	case before:
		le.shrink(le.search.Safe(), le.interval, now)
	default: // the server may not carry it at all
		le.unpair()
		le.pair.retry = now.Add(retryMax)
	}
}

func (le *Learner) openPair(now time.Time) {
	if le.pair.opening {
		le.pair.retry = now.Add(retryMin)
		return
	}
	s := le.main
	ctx, cancel := context.WithCancel(le.ctx)
	le.pair.opening, le.pair.cancel = true, cancel
	le.pair.slot = 0
	slot := le.freeSlot()
	le.pair.slot = slot
	o := probeOptions{e: s.Endpoint(), clientID: le.o.ClientID(slot), topic: le.o.Topic(slot), path: s.Path(),
		keepalive: uint16(s.Endpoint().AllowedKeepalive(le.env.Keepalive) / time.Second), patience: le.env.Dialer.HandshakeTime()}
	if !le.shortCanary {
		o.keepalive = canaryKeepalive
	}
	le.env.Go(func() {
		var cost int64
		c, err := le.dialProbe(ctx, o, &cost)
		if err == nil {
			le.env.Go(func() { le.attend(ctx, c) })
		}
		le.do(func() {
			le.status.spent(cost)
			if ctx.Err() != nil {
				return // another pairing may have begun
			}
			le.pair.opening = false
			switch {
			case err == nil:
				le.pair.conn, le.pair.spoke = c, time.Now()
			case errors.Is(err, errDenied) && o.keepalive == canaryKeepalive:
				le.shortCanary, le.pair.retry = true, time.Now()
			default:
				le.pair.retry = time.Now().Add(retryMax)
			}
		})
	})
}

// attend waits for the end of the pair's session.
func (le *Learner) attend(ctx context.Context, c *probeConn) {
	defer c.close()
	for {
		select {
		case _, ok := <-c.packets:
			if !ok {
				le.do(func() {
					if le.pair.conn == c {
						le.pair.conn = nil
					}
				})
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// bookPair enters what the second session has cost since the last look. Like canaries it is no part of the budget.
func (le *Learner) bookPair() {
	if c := le.pair.conn; c != nil {
		cost := c.s.Raw.Cost()
		le.status.spent(max(0, cost-le.pair.spent))
		le.pair.spent = cost
	}
}

// unpair ends the second session.
func (le *Learner) unpair() {
	le.bookPair()
	if le.pair.cancel != nil {
		le.pair.cancel()
	}
	le.pair = pairing{}
}

// PairHeard is called with the payload of what arrives on PairTopic.
func (le *Learner) PairHeard(payload []byte) {
	le.do(func() {
		p := &le.pair
		if le.main == nil || p.sent.IsZero() || !bytes.Equal(payload, p.nonce) {
			return
		}
		if !le.main.SilentSince().After(p.sent) {
			le.main.Rearmed(le.crowded())
		}
		p.sent, p.proven = time.Time{}, time.Now()
	})
}

func (c *probeConn) publish(topic string, payload []byte) error {
	pub := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
	pub.TopicName, pub.Payload = topic, payload
	return c.write(pub, netdial.LastWords)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
