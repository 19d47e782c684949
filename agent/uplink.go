package agent

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/transport"
)

// drainFor is how long a stop may go on publishing what the spools hold.
const drainFor = 5 * time.Second

// readRetry is how soon a spool that could not be read is asked again.
const readRetry = time.Second

// pump carries records from the spools to the link and commits what the broker acknowledged. Lanes are drained in order: a
// record of a later lane is sent only when the earlier ones have nothing to send. Records leave in order, as many as the
// link's window holds at a time; after a loss the pump starts over from the spools' cursors.
type pump struct {
	link  *transport.Link
	lanes []*lane
	log   zerolog.Logger

	pulse   *pulse
	session *transport.Publisher // nil: none since the last loss
	out     []flight             // sent on it and not acknowledged, in order
	fault   string               // the last one of reading a spool
	retryAt time.Time            // when it is read again
	held    *parcel              // taken from its lane, and not sent because ctx was done; of session
}

type flight struct {
	parcel *parcel
	ack    *transport.Ack
}

// run pumps until ctx is done, then drains for at most drainFor while the link is up.
func (p *pump) run(ctx context.Context) error {
	for ctx.Err() == nil {
		p.turn(ctx, false)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	for drain.Err() == nil && p.session != nil && p.turn(drain, true) {
	}
	return nil
}

// turn does one thing: settles what was acknowledged, sends the next parcel, or waits. With flush it does not wait for more
// records; then false means that everything was sent and acknowledged.
func (p *pump) turn(ctx context.Context, flush bool) bool {
	if p.session == nil {
		var err error
		if p.session, err = p.link.Publisher(ctx); err != nil { // ctx is done, or the link has ended and ctx will be
			<-ctx.Done()
		}
		return true
	}
	p.pulse.begin()
	p.settle()
	if p.session == nil {
		p.pulse.end()
		return true
	}
	next := p.held
	if p.held = nil; next == nil {
		next = p.next(flush)
	}
	p.pulse.end()
	if next != nil {
		p.send(ctx, next)
		return true
	}
	if len(p.out) > 0 {
		p.await(ctx, p.out[0].ack.Done(), p.wake())
		return true
	}
	if !flush {
		p.await(ctx, nil, p.wake())
	}
	return false
}

// next is the next parcel to send. Records that cannot become one are counted, logged and committed past.
func (p *pump) next(flush bool) *parcel {
	for _, l := range p.lanes {
		for {
			parcel, bad, err := l.take(time.Now(), flush)
			if bad != nil {
				p.poison(l, bad.Stream, bad.Seq, err, bad.Pos)
				continue
			}
			if err != nil {
				p.unreadable(err)
				break
			}
			if parcel != nil {
				return parcel
			}
			break
		}
	}
	return nil
}

// unreadable asks the spool again in readRetry; one log line for each fault, not for each try.
func (p *pump) unreadable(err error) {
	if p.fault != err.Error() {
		p.fault = err.Error()
		p.log.Error().Err(err).Msg("spool cannot be read, trying again")
	}
	p.retryAt = time.Now().Add(readRetry)
}

func (p *pump) send(ctx context.Context, next *parcel) {
	ack, err := p.session.Send(ctx, next.message)
	switch {
	case err == nil:
		p.out = append(p.out, flight{next, ack})
	case errors.Is(err, transport.ErrTooLarge):
		p.poison(next.lane, next.stream, next.seq, err, next.positions...)
	case ctx.Err() != nil: // the stop: what was taken goes first in the drain
		p.held = next
	default:
		p.lost()
	}
}

func (p *pump) poison(l *lane, stream string, seq spool.Seq, why error, positions ...spool.Pos) {
	p.log.Error().Str("device", stream).Uint64("seq", uint64(seq)).Int("records", len(positions)).Err(why).
		Msg("record cannot be published, dropped")
	for _, pos := range positions {
		if err := l.poison(pos); err != nil {
			p.log.Error().Err(err).Msg("cannot drop a record from the spool")
		}
	}
}

// settle commits what was acknowledged, and starts over when the session was lost.
func (p *pump) settle() {
	n := 0
	for ; n < len(p.out); n++ {
		select {
		case <-p.out[n].ack.Done():
		default:
			p.out = p.out[n:]
			return
		}
		if p.out[n].ack.Err() != nil {
			p.out = p.out[n:]
			p.lost()
			return
		}
		p.commit(p.out[n].parcel)
	}
	p.out = p.out[:0]
}

func (p *pump) commit(done *parcel) {
	if err := done.lane.finish(done.positions...); err != nil {
		p.log.Error().Err(err).Msg("cannot commit to the spool; records may be sent twice")
	}
}

// lost ends what is in flight: the acks of a session that is gone are final by now, or at once.
func (p *pump) lost() {
	for _, f := range p.out {
		<-f.ack.Done()
		if f.ack.Err() == nil {
			p.commit(f.parcel)
		}
	}
	p.out, p.session, p.held = nil, nil, nil
	for _, l := range p.lanes {
		l.rewind()
	}
}

func (p *pump) wake() time.Time {
	first := p.retryAt
	if !time.Now().Before(first) {
		first = time.Time{}
	}
	for _, l := range p.lanes {
		if w := l.wake(); !w.IsZero() && (first.IsZero() || w.Before(first)) {
			first = w
		}
	}
	return first
}

// await blocks until there may be something to do: ctx, an ack, a spool with more, or the time at. The loss of a session
// without anything in flight is noticed by the next send.
func (p *pump) await(ctx context.Context, ack <-chan struct{}, at time.Time) {
	var timer <-chan time.Time
	if !at.IsZero() {
		t := time.NewTimer(time.Until(at))
		defer t.Stop()
		timer = t.C
	}
	select {
	case <-ctx.Done():
	case <-ack:
	case <-timer:
	case <-p.lanes[0].spool.Ready():
	case <-p.lanes[1].spool.Ready():
	}
}
