package pump

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/transport"
)

// flight is what was sent on a session and is not acknowledged, in order. What is missing (transport.Ack) is a part of it, and
// waits for the next session; the rest is live. Owned by the pump's loop.
type flight struct {
	out     []*inflight
	missing int  // of out
	changed bool // an Ack may have changed
}

type inflight struct {
	publish *publish
	ack     *transport.Ack
	missing bool // it was seen to be
}

func (f *flight) sent(p *publish, ack *transport.Ack) {
	f.out = append(f.out, &inflight{publish: p, ack: ack})
}

// live is how many publishes are in flight and not missing.
func (f *flight) live() int { return len(f.out) - f.missing }

// take removes what has arrived, and returns it, and what has become missing. lost: something was lost.
func (f *flight) take() (arrived, news []*publish, lost bool) {
	open := f.out[:0]
	for _, o := range f.out {
		err := o.ack.Err()
		if err == nil {
			if arrived = append(arrived, o.publish); o.missing {
				f.missing--
			}
			continue
		}
		lost = lost || !errors.Is(err, transport.ErrPending)
		if !o.missing && o.ack.Missing() {
			o.missing = true
			f.missing++
			news = append(news, o.publish)
		}
		open = append(open, o)
	}
	clear(f.out[len(open):])
	f.out = open
	return arrived, news, lost
}

// settle tells the spools what was acknowledged, and starts over when the session was lost.
func (p *Pump) settle() {
	select {
	case <-p.session.Settled():
	default:
		if !p.flight.changed {
			return
		}
	}
	p.flight.changed = false
	arrived, news, lost := p.flight.take()
	p.commit(arrived)
	for _, m := range news {
		p.silences.missing(m)
	}
	if lost {
		p.lost()
	}
}

// commit tells each spool at once which of its records arrived.
func (p *Pump) commit(arrived []*publish) {
	if len(arrived) == 0 {
		return
	}
	for _, l := range p.lanes {
		var positions []spool.Pos
		for _, f := range arrived {
			if f.lane == l {
				positions = append(positions, f.positions...)
				p.suspects.acked(f)
				p.silences.acked(f)
			}
		}
		p.tellHeld()
		if err := l.spool.Ack(positions...); err != nil {
			const unsaved = "acknowledgements could not be saved: records may be sent twice"
			p.floods.Line(zerolog.ErrorLevel, unsaved, 1).Str("spool", l.name).Err(err).Msg(unsaved)
		}
	}
}

// lost ends what is in flight: the acks of a session that is gone are final by now, or at once. A server that closed the session
// accuses the oldest publish at which it may have: what is or was missing it got without that.
func (p *Pump) lost() {
	for _, o := range p.flight.out {
		<-o.ack.Done()
	}
	arrived, _, _ := p.flight.take()
	p.commit(arrived)
	var accused *inflight
	for _, o := range p.flight.out {
		if accused == nil && !o.missing && !p.silences.bore(o.publish) {
			accused = o
		}
		if errors.Is(o.ack.Err(), transport.ErrUnacknowledged) {
			p.silences.missing(o.publish)
		}
	}
	if accused != nil {
		why := accused.ack.Err()
		if p.suspects.lost(accused.publish, p.flight.live(), errors.Is(why, transport.ErrClosed), time.Now()) {
			if p.sizing.sizes != nil {
				p.sizing.sizes.Closed(accused.publish.message)
			}
			p.poison(accused.publish, fmt.Errorf("the server closes the connection when it gets this: %w", why))
			p.tellHeld()
		}
	}
	p.silences.ended()
	if p.sizing.trying != nil { // it waits in its spool again
		p.sizing.trying = nil
		p.sizing.sizes.Forget()
	}
	p.flight, p.session, p.held, p.lostAt = flight{}, nil, nil, time.Now()
	for _, l := range p.lanes {
		l.rewind()
	}
}

// await blocks until there may be something to do: ctx, an acknowledgement, a spool with more, or the time at. The loss of a
// session without anything in flight is noticed by the next send.
func (p *Pump) await(ctx context.Context, at time.Time) {
	var timer <-chan time.Time
	if !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-p.session.Settled():
		p.flight.changed = true
	case <-timer:
	case <-p.changed():
		p.recheck = true
	case <-p.ready(0):
	case <-p.ready(1):
	case <-p.ready(2):
	}
}
