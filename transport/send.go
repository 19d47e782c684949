package transport

import (
	"context"
	"errors"
	"fmt"
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
