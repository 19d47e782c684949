package console

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/errcode"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

const (
	outBytes     = 256 << 10            // what a device may say faster than it can be sent
	gatherFor    = 5 * time.Millisecond // between two messages with data: what comes meanwhile goes together
	tendEvery    = time.Second          // how often a lost session of the link is looked for
	tellBytes    = wire.ConsoleWindow / 4
	tellMessages = wire.ConsoleMessages / 4
	eventsFirst  = 2 * leasesMost // beginnings, and ends, that are written one by one: see flood.Tally
)

// session is one operator at one device. begin starts it, end ends it; what it is made of is immutable, but keeps.
type session struct {
	of            *Server
	id, name, who string
	tap           bool
	device        *bridge.Device
	began         time.Time
	chunk         int          // bytes of data in a message
	keeps         flood.Bucket // renewals that are answered; of Run of the server

	out  *outbox
	in   chan wire.ConsoleDown // data and set
	hold *bridge.Hold          // nil: a tap

	untap  func()
	cancel context.CancelFunc
	ending atomic.Bool

	written atomic.Int64 // bytes of the operator that the port took
	read    atomic.Int64 // bytes that went up
}

// begin takes the device and starts the session.
func (s *session) begin(line wire.ConsoleLine) (err error) {
	if !s.tap {
		if s.hold, err = s.device.Hold(); err != nil {
			return err
		}
	}
	s.out, s.in = newOutbox(outBytes, s.chunk), make(chan wire.ConsoleDown, 2*wire.ConsoleMessages)
	baud, mode := s.device.Line()
	s.out.say(wire.ConsoleUp{Op: wire.ConsoleOpened, Max: s.chunk,
		ConsoleLine: wire.ConsoleLine{Baud: baud, Mode: mode.String()}})
	s.untap = s.device.Tap(func(t bridge.Traffic) {
		if s.tap || !t.Out {
			s.out.data(t.Time, t.Out, t.Data)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if line != (wire.ConsoleLine{}) {
		s.in <- wire.ConsoleDown{Op: wire.ConsoleSet, ConsoleLine: line}
	}
	started := s.kind() + " session started"
	s.event(started).Msg(started)
	s.of.all.Go(func() { s.run(ctx) })
	return nil
}

func (s *session) kind() string {
	if s.tap {
		return "tap"
	}
	return "console"
}

// event is a line for the log. Every use is a warning, so that it is shipped with the defaults. As many are written one by one as
// people cause; who opens one after the other is counted, under the name that was given: others' lines stand as before.
func (s *session) event(what string) *zerolog.Event {
	kind := what
	if s.of.whos.knows(s.who, time.Now()) {
		kind += " by " + s.who
	}
	line := s.of.floods.Line(zerolog.WarnLevel, kind, eventsFirst)
	return supervise.Str(line.Str("device", s.name).Str("session", s.id), "who", s.who)
}

// whos are the names that operators gave lately, no more than whosMost. The zero value is ready.
type whos map[string]time.Time

const (
	whosMost = 2 * leasesMost
	whosKept = 10 * time.Minute // since its last session began or ended
)

// knows notes a name; false: there are too many.
func (w *whos) knows(who string, now time.Time) bool {
	if *w == nil {
		*w = whos{}
	}
	for name, last := range *w {
		if now.Sub(last) >= whosKept {
			delete(*w, name)
		}
	}
	if _, known := (*w)[who]; who == "" || !known && len(*w) >= whosMost {
		return false
	}
	(*w)[who] = now
	return true
}

// end is called by Run of the server, once or more: the first reason counts. From here on the device is free for the next; the
// seat is once run has ended.
func (s *session) end(code wire.ErrorCode, why string) {
	if s.ending.Swap(true) {
		return
	}
	s.untap()
	s.out.say(wire.ConsoleUp{Op: wire.ConsoleClosed, Error: code, Detail: why})
	ended := s.kind() + " session ended"
	s.event(ended).Str("why", why).Time("from", s.began).Int64("read", s.read.Load()).Int64("written", s.written.Load()).
		Int64("lost", s.out.dropped()).Msg(ended)
	s.cancel()
	if s.hold != nil {
		s.hold.Release()
	}
	s.of.leases.ends(s.id)
}

// heard takes what the operator said; it never waits. missing is how many messages did not come before. taken is false for what
// no operator has a reason to send: it is refused.
func (s *session) heard(m wire.ConsoleDown, missing uint64, now time.Time) (taken bool) {
	const hole = "what the port has got is not all that you sent: look at the device, and open the console again"
	switch {
	case missing > 0 && !s.tap:
		s.end(wire.UnknownOutcome, fmt.Sprintf("%d messages did not come; %s", missing, hole))
	case m.Op == wire.ConsoleClose:
		s.end("", "the operator closed it")
	case m.Op == wire.ConsoleKeep && !s.keeps.Take(now):
		return false
	case m.Op == wire.ConsoleKeep:
		s.out.say(wire.ConsoleUp{Op: wire.ConsoleKept})
	case s.tap || m.Op != wire.ConsoleData && m.Op != wire.ConsoleSet:
		if s.of.answers.Take(now) {
			s.out.say(wire.ConsoleUp{Op: wire.ConsoleFault, Error: wire.Denied, Detail: "this session only looks"})
		}
		return false
	default:
		select {
		case s.in <- m:
		default: // an operator who does not keep to the window
			s.end(wire.Busy, fmt.Sprintf("more than %d messages wait for the port; %s", cap(s.in), hole))
			return false
		}
	}
	return true
}

// run carries both directions until end.
func (s *session) run(ctx context.Context) {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		s.up(ctx)
	}()
	s.down(ctx)
	<-sent
	select {
	case s.of.ended <- s:
	case <-s.of.over:
	}
}

// down writes what the operator typed, and says how much was dealt with.
func (s *session) down(ctx context.Context) {
	var reported int64
	unreported := 0
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-s.in:
			if m.Op == wire.ConsoleSet {
				s.set(ctx, m.ConsoleLine)
				continue
			}
			if err := s.hold.Write(ctx, m.Data); err == nil {
				s.written.Add(int64(len(m.Data)))
			} else if ctx.Err() == nil {
				s.out.say(wire.ConsoleUp{Op: wire.ConsoleFault, Error: errcode.Of(err), Detail: err.Error()})
			}
			n := s.out.took(len(m.Data))
			if unreported++; n-reported >= tellBytes || unreported >= tellMessages {
				reported, unreported = n, 0
				s.out.say(wire.ConsoleUp{Op: wire.ConsoleKept})
			}
		}
	}
}

// set changes the line and says how that went.
func (s *session) set(ctx context.Context, l wire.ConsoleLine) {
	c := serialport.LineChange{Baud: l.Baud, DTR: l.DTR, RTS: l.RTS, Break: l.Break}
	var err error
	if l.Mode != "" {
		if c.Mode, err = serialport.ParseMode(l.Mode); err != nil {
			err = errors.Join(serialport.ErrBadLine, err)
		}
	}
	if err == nil {
		err = s.hold.Set(ctx, c)
	}
	answer := wire.ConsoleUp{Op: wire.ConsoleSet, ConsoleLine: l}
	if err != nil {
		answer.Error, answer.Detail = errcode.Of(err), err.Error()
	}
	s.out.say(answer)
}

// up sends what there is to tell: data at once, but with a pause after it in which more may gather.
func (s *session) up(ctx context.Context) {
	o, seq := s.of.link.Ordered(), uint64(0)
	tend := time.NewTicker(tendEvery)
	defer tend.Stop()
	for {
		m, ok := s.out.take()
		if !ok {
			select {
			case <-s.out.more:
			case <-tend.C:
				_, _ = o.Tend(ctx)
			case <-ctx.Done():
				if m, ok = s.out.take(); !ok { // the last word was sent
					return
				}
			}
		}
		if !ok {
			continue
		}
		seq++
		m.ID, m.Seq = s.id, seq
		s.read.Add(int64(len(m.Data)))
		if m.Op == wire.ConsoleClosed {
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
			defer cancel()
			_ = o.Send(last, s.of.message(s.name, m))
			return
		}
		if o.Send(ctx, s.of.message(s.name, m)) == nil && m.Op == wire.ConsoleData {
			pause(ctx, gatherFor)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
