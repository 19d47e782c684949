// Package pump carries records from the spools to the link as fast as both allow, what is read now beside what waited through
// an outage, each in order, and tells the spools what the server acknowledged. What can never be published goes into
// quarantine. It never sees a device, a command or the configuration.
package pump

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/transport"
)

// drainFor is how long a stop may go on publishing what the spools hold.
const drainFor = 5 * time.Second

// StopWithin is how long Run may take to return after its context is done.
const StopWithin = drainFor + 2*time.Second

// exhaustedLook is how often the pump looks whether there is a budget again.
const exhaustedLook = 10 * time.Second

// poisonFirst is how many records of a device that cannot be published are told one by one in a minute.
const poisonFirst = 10

// Pump carries records from the spools to the link and tells the spools what the broker acknowledged. Lanes are drained in
// order: a record of a later lane is sent only when the earlier ones have nothing to send. But what is read now and what waited
// through an outage take turns, so that neither waits for the end of the other; each leaves in order, as many as the link's
// window holds at a time. After a loss the pump starts over with what waits in the spools: what was acknowledged behind a publish
// that was not is sent no more.
type Pump struct {
	link  *transport.Link
	lanes []*lane
	log   zerolog.Logger

	floods *flood.Log // of what devices and servers cause one for one

	pace      *pacer                              // of the lanes with devices' records; nil: none
	exhausted func() bool                         // only what matters most may be sent; nil: never
	keep      func(bad *publish, why error) error // puts what cannot be published into quarantine; nil: it is dropped
	lostAt    time.Time                           // the end of the last session; zero: there was none
	away      time.Duration                       // that there was no session, since the lanes began anew
	holds     Holds                               // what stays in the spools for now; nil: nothing

	loop     *supervise.Loop      // of Run; the caller's
	session  *transport.Publisher // nil: none since the last loss
	flight   flight               // what was sent on it
	held     *publish             // taken from its lane, and not sent because ctx was done; of session
	suspects suspects
	silences silences
	refused  refusals
	oldTurn  bool // the next publish is one of a backlog, if there is any
	recheck  bool // other topics may be held than before
	sizing   sizing

	handedOver atomic.Bool // another pump follows: nothing more is sent at the end
}

// Options configure a pump.
type Options struct {
	Link                *transport.Link
	Data, High, Replies *spool.Spool // High: of devices with priority high
	ReplyTopic          string       // template with {name}
	Routes              *Routes      // of the devices' records
	Clock               clock.Clock
	ReplayRate          int64       // bytes a second at which a backlog goes out; 0: as the path carries
	Exhausted           func() bool // only what matters most may be sent
	Quarantine          *Quarantine
	Holds               Holds // what stays in the spools for now; nil: nothing
	Sizes               Sizes // with Holds: what becomes of large messages; nil: all are published
	Log                 zerolog.Logger
}

// New returns a pump that is not running. Replies go first, and what matters most waits for no pacing.
func New(o Options) *Pump {
	p := &Pump{link: o.Link, log: o.Log, floods: flood.NewLog(o.Log), exhausted: o.Exhausted, holds: o.Holds,
		sizing: sizing{sizes: o.Sizes},
		lanes: []*lane{
			newLane(o.Replies, replies{o.ReplyTopic}),
			newLane(o.High, frames{clock: o.Clock, routes: o.Routes}),
			newLane(o.Data, frames{clock: o.Clock, routes: o.Routes}),
		},
		keep: func(bad *publish, why error) error { return o.Quarantine.keep(bad, why, time.Now()) },
		pace: &pacer{fixed: o.ReplayRate, spread: rand.Float64, rate: func() int64 { return o.Link.Status().Throughput }}}
	p.lanes[0].name, p.lanes[1].name, p.lanes[2].name = "replies", "high", "data"
	p.lanes[0].vital, p.lanes[1].vital = true, true
	p.lanes[2].paced = true
	return p
}

// HandOver is called before Run ends, when another pump goes on with the same spools.
func (p *Pump) HandOver() { p.handedOver.Store(true) }

// Run pumps until ctx is done, then drains for at most drainFor while the link is up. The loop shows whether it makes progress;
// it stays the caller's, who ends it even if Run is stuck and abandoned.
func (p *Pump) Run(ctx context.Context, loop *supervise.Loop) error {
	p.loop = loop
	defer p.floods.Flush()
	p.passOver()
	for _, l := range p.lanes { // the pump before may have taken something
		l.rewind()
	}
	for ctx.Err() == nil {
		p.turn(ctx, false)
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainFor)
	defer cancel()
	if p.handedOver.Load() {
		p.settleFlight(drain)
		return nil
	}
	for drain.Err() == nil && p.session != nil && p.turn(drain, true) {
	}
	return nil
}

// settleFlight waits for what is in flight, and sends nothing more: another pump continues with what waits in the spools, and
// would send again what is not acknowledged there.
func (p *Pump) settleFlight(ctx context.Context) {
	for ctx.Err() == nil && p.session != nil && p.flight.live() > 0 {
		p.await(ctx, p.wake())
		p.settle()
	}
}

// turn does one thing: settles what was acknowledged, sends the next publish, or waits. With flush it does not wait for more
// records; then false means that everything was sent and acknowledged.
func (p *Pump) turn(ctx context.Context, flush bool) bool {
	if p.session == nil {
		var err error
		if p.session, err = p.link.Publisher(ctx); err != nil { // ctx is done, or the link has ended and ctx will be
			<-ctx.Done()
		}
		p.suspects.connected(time.Now())
		if p.pace != nil {
			p.pace.connected(p.lostAt, time.Now())
		}
		p.begin(time.Now())
		return true
	}
	if p.tried(ctx); p.session == nil {
		return true
	}
	p.loop.Begin()
	p.settle()
	if p.session == nil {
		p.loop.End()
		return true
	}
	if p.sizing.trying != nil { // nothing overtakes it: what comes behind would be out of order
		p.loop.End()
		p.await(ctx, time.Time{}) // what is due meanwhile is not sent, so its time must not wake us: Changed does
		return true
	}
	p.release(time.Now())
	if hold, until := p.suspects.hold(time.Now(), p.flight.live()); hold && !flush {
		p.loop.End()
		p.await(ctx, until)
		return true
	}
	next := p.held
	if p.held = nil; next == nil {
		next = p.next(flush)
	}
	p.loop.End()
	if next != nil {
		if p.fits(next) {
			p.send(ctx, next)
		}
		return true
	}
	live := p.flight.live() > 0
	if live || !flush {
		p.await(ctx, p.wake())
	}
	return live
}

// begin is called with each new session. While there was none for a few moments only, as at a planned re-dial, or a few times,
// the lanes go on as before: else each would put what is read now, and was not acknowledged yet, behind the backlog.
func (p *Pump) begin(now time.Time) {
	p.away += now.Sub(p.lostAt)
	goesOn := !p.lostAt.IsZero() && p.away <= lateAfter
	if !goesOn {
		p.away = 0
	}
	for _, l := range p.lanes {
		l.begin(now, goesOn)
	}
}

func (p *Pump) send(ctx context.Context, next *publish) {
	ack, err := p.session.Send(ctx, next.message)
	switch {
	case err == nil:
		p.flight.sent(next, ack)
		p.silences.sent(next.source())
	case errors.Is(err, transport.ErrTooLarge), errors.Is(err, transport.ErrInvalid):
		p.poison(next, err)
	case ctx.Err() != nil: // the stop: what was taken goes first in the drain
		p.held = next
	default:
		p.lost()
	}
}

// poison gives up on what can never be published.
func (p *Pump) poison(bad *publish, why error) {
	line := p.floods.Line(zerolog.ErrorLevel, "record of "+bad.stream+" cannot be published", poisonFirst).
		Str("device", bad.stream).Uint64("seq", uint64(bad.seq)).Int("records", len(bad.positions)).
		Int("bytes", len(bad.message.Payload)).Err(why)
	p.refused.note(bad, why, time.Now())
	if p.keep == nil {
		line.Msg("record cannot be published: dropped")
	} else if err := p.keep(bad, why); err != nil {
		line.AnErr("quarantine", err).Msg("record cannot be published and could not be put into quarantine: lost")
	} else {
		line.Msg("record cannot be published: put into quarantine")
	}
	for _, pos := range bad.positions {
		if err := bad.lane.spool.Poison(pos); err != nil {
			const stays = "record could not be removed from its spool: it may come again"
			p.floods.Line(zerolog.ErrorLevel, stays, 1).Str("spool", bad.lane.name).Err(err).Msg(stays)
		}
	}
}

// Why is what is wrong with what the pump carries, in a sentence; empty: nothing. Safe for concurrent use.
func (p *Pump) Why() string { return p.refused.why(time.Now()) }

// release goes over what was passed over when streams were held back for long enough, when a source is acknowledged after all,
// or when other topics are held than before. What is in flight, missing or not, is out of the spools, and not handed out again.
func (p *Pump) release(now time.Time) {
	if p.suspects.expired(now) {
		p.suspects.release(now)
		p.tellHeld()
		p.recheck = true
	}
	select {
	case <-p.changed():
		p.recheck = true
	default:
	}
	if p.recheck = p.recheck || p.silences.over; p.recheck {
		p.recheck, p.silences.over = false, false
		p.revisit()
	}
}

// tellHeld is called when it may have changed which streams are held back.
func (p *Pump) tellHeld() {
	held := p.suspects.held()
	if p.refused.holds(held, p.suspects.wake()) && len(held) > 0 {
		p.log.Error().Strs("devices", held).Dur("for", holdFor).
			Msg("server closes the connection at each record of these devices: held back")
	}
}

// paused tells whether there is no budget for a lane.
func (p *Pump) paused(l *lane) bool { return !l.vital && p.exhausted != nil && p.exhausted() }

func (p *Pump) wake() (first time.Time) {
	first = p.suspects.wake()
	for _, l := range p.lanes {
		w := l.live.wake()
		if old := l.old.wake(); w.IsZero() || !old.IsZero() && old.Before(w) {
			w = old
		}
		if p.paused(l) {
			w = time.Now().Add(exhaustedLook) // a new month of the budget may begin
		}
		if !w.IsZero() && (first.IsZero() || w.Before(first)) {
			first = w
		}
	}
	return first
}

// ready is closed when the i-th lane has more; nil: there is no such lane.
func (p *Pump) ready(i int) <-chan struct{} {
	if i >= len(p.lanes) {
		return nil
	}
	return p.lanes[i].spool.Ready()
}
