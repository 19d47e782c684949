package transport

import (
	"context"
	"errors"
	"slices"
)

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
