package transport

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/transport/codec"
)

// Publisher sends on one session: when that is lost, it is of no use any more. That keeps an order over losses: what was
// sent before the loss can be sent again before what comes after it. Safe for concurrent use.
type Publisher struct {
	l *Link
	s *session
}

// Publisher waits until the link is up. ErrStopped after Run ended, or ctx's error.
func (l *Link) Publisher(ctx context.Context) (*Publisher, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, ready := l.health.current()
		if s != nil {
			return &Publisher{l, s}, nil
		}
		select {
		case <-ready:
		case <-l.stopped:
			return nil, ErrStopped
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Send queues m in order and returns its Ack. It blocks while the window is full. ErrTooLarge at once for a message beyond
// MaxPacket, ErrInvalid for one that MQTT does not allow, ErrLost when the session is lost before m was sent, or ctx's error; in
// these cases nothing was sent. A message whose Ack fails is not sent again: that is the caller's decision.
func (p *Publisher) Send(ctx context.Context, m Message) (*Ack, error) {
	if err := p.l.fits(m); err != nil {
		return nil, err
	}
	return p.s.window.send(ctx, m)
}

// Settled has a value after Acks of this session became done or missing, whoever sent them. It is for one reader.
func (p *Publisher) Settled() <-chan struct{} { return p.s.window.settled }

// sendOrdered is Send with the slots of Ordered.
func (p *Publisher) sendOrdered(ctx context.Context, m Message) (*Ack, error) {
	if err := p.l.fits(m); err != nil {
		return nil, err
	}
	return p.s.window.sendIn(ctx, p.s.window.orderedSlots, m)
}

// Send is Publisher.Send on whatever session there is: it blocks while the link is down too.
func (l *Link) Send(ctx context.Context, m Message) (*Ack, error) {
	if err := l.fits(m); err != nil {
		return nil, err
	}
	for {
		p, err := l.Publisher(ctx)
		if err != nil {
			return nil, err
		}
		a, err := p.Send(ctx, m)
		if errors.Is(err, ErrLost) {
			continue // detach came before the window failed, so the next turn waits
		}
		return a, err
	}
}

// Publish sends all of m on one session and waits for the acknowledgements. acked is the length of the acknowledged prefix,
// also when err is not nil; what is behind it may or may not have arrived.
func (l *Link) Publish(ctx context.Context, m ...Message) (acked int, err error) {
	p, err := l.Publisher(ctx)
	if err != nil {
		return 0, err
	}
	acks := make([]*Ack, 0, len(m))
	for i := range m {
		a, sendErr := p.Send(ctx, m[i])
		if sendErr != nil {
			err = fmt.Errorf("message %d of %d: %w", i+1, len(m), sendErr)
			break
		}
		acks = append(acks, a)
	}
	for i, a := range acks {
		select {
		case <-a.Done():
		case <-ctx.Done():
			return i, ctx.Err()
		}
		if e := a.Err(); e != nil {
			return i, fmt.Errorf("message %d of %d: %w", i+1, len(m), e)
		}
	}
	return len(acks), err
}

// fits refuses what may not or cannot be sent.
func (l *Link) fits(m Message) error {
	switch size := codec.PublishSize(m.Topic, len(m.Payload), m.QoS); {
	case m.Topic == "" || len(m.Topic) > 0xffff || strings.ContainsAny(m.Topic, "+#\x00"): // [MQTT-3.3.2-2]
		return fmt.Errorf("%w: topic %q is not one to publish to: no wildcards, not empty", ErrInvalid, m.Topic)
	case m.QoS > 1:
		return fmt.Errorf("message for %s: %w: QoS %d is not offered, use 0 or 1", m.Topic, ErrInvalid, m.QoS)
	case size > l.o.MaxPacket:
		return fmt.Errorf("message for %s: %w: packet of %d bytes, limit %d", m.Topic, ErrTooLarge, size, l.o.MaxPacket)
	}
	return nil
}

// Ordered sends messages in order over lost sessions: what was not acknowledged is sent again, in order and before what comes
// after it. A receiver sees repeats, and no holes, as long as it does not lose its own session, and the server forgets none:
// what that acknowledged behind a message that is missing is not sent again. One goroutine at a time; for little data that is not
// worth a spool. Its messages have QoS 1, and a window of their own, which bounds what it keeps: a person at a console does not
// wait behind a backlog.
type Ordered struct {
	l   *Link
	p   *Publisher // nil: none since the last loss
	out []ordered  // not acknowledged, in order
}

type ordered struct {
	m   Message
	ack *Ack // nil: not sent on p
}

// Ordered returns a sender of its own order.
func (l *Link) Ordered() *Ordered { return &Ordered{l: l} }

// Send sends m after all before it. It blocks while the link is down or its window full. An error is ErrTooLarge or ErrInvalid
// for m alone, or the end: ErrStopped, or ctx's error.
func (o *Ordered) Send(ctx context.Context, m Message) error {
	if err := o.l.fits(m); err != nil {
		return err
	}
	o.settle()
	o.out = append(o.out, ordered{m: m})
	return o.push(ctx)
}

// Tend sends again what was not acknowledged before a session ended, and forgets what was. A caller that has nothing to send
// calls it now and then. True: all is acknowledged.
func (o *Ordered) Tend(ctx context.Context) (bool, error) {
	o.settle()
	if len(o.out) == 0 {
		return true, nil
	}
	return false, o.push(ctx)
}

// settle forgets what was acknowledged, and notices that the session has ended.
func (o *Ordered) settle() {
	lost := false
	o.out = slices.DeleteFunc(o.out, func(m ordered) bool {
		if m.ack == nil {
			return false
		}
		err := m.ack.Err()
		lost = lost || err != nil && !errors.Is(err, ErrPending)
		return err == nil
	})
	if lost {
		o.unsend()
	}
}

// unsend marks all that is not acknowledged as not sent, after the session ended: then each Ack is done, or soon.
func (o *Ordered) unsend() {
	o.p = nil
	o.out = slices.DeleteFunc(o.out, func(m ordered) bool {
		if m.ack == nil {
			return false
		}
		<-m.ack.Done()
		return m.ack.Err() == nil
	})
	for i := range o.out {
		o.out[i].ack = nil
	}
}

// push sends what was not sent on the session that there is.
func (o *Ordered) push(ctx context.Context) (err error) {
	for {
		if o.p == nil {
			if o.p, err = o.l.Publisher(ctx); err != nil {
				o.p = nil
				return err
			}
		}
		if err = o.pushOn(ctx); !errors.Is(err, ErrLost) {
			return err
		}
		o.unsend()
	}
}

func (o *Ordered) pushOn(ctx context.Context) (err error) {
	for i := range o.out {
		if o.out[i].ack == nil {
			if o.out[i].ack, err = o.p.sendOrdered(ctx, o.out[i].m); err != nil {
				o.out[i].ack = nil
				return err
			}
		}
	}
	return nil
}
