package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/wire"
)

const (
	consoleOpenWithin = 15 * time.Second
	consoleSilent     = wire.ConsoleLeaseS * time.Second // the gateway answers each renewal; without any, it is gone
	consoleLinger     = time.Second                      // after the end of In, for what the device still says
	consoleLingerMost = 10 * time.Second                 // for one that says something all the time
	consoleAsk        = 5 * time.Second                  // between two questions how much is written, at most
	consoleRead       = 2 << 10                          // bytes in one message
	consoleLook       = 100 * time.Millisecond           // between two looks at what was changed about the line
	consoleLeave      = 2 * time.Second                  // for what was typed before ~. to go out
	typedAhead        = 64 << 10                         // bytes that a person may type ahead: a ~. behind them is still seen
	minRead           = 512                              // bytes of what a terminal hands over at once when much is pasted
)

// ConsoleOptions say which port, and what it is connected to here.
type ConsoleOptions struct {
	Device, Name string
	Who          string           // for the gateway's log
	Line         wire.ConsoleLine // to change at the beginning; what cannot be changed so ends the console

	In  io.Reader // what goes to the port; a read that is under way may outlast the call
	Out io.Writer // what the port says; a write that is under way may outlast the call
	// what was changed about the line since the last call; nil: nothing ever. From any goroutine.
	Changed func() (wire.ConsoleLine, bool)
	Opened  func(l wire.ConsoleLine) // called with how the line is configured; may be nil
	Escape  bool                     // ~. after a line's end leaves, ~~ is one ~
}

// ErrConsoleEnded says that the gateway ended a console that was open; the text around it says why.
var ErrConsoleEnded = errors.New("the gateway ended the session")

// Console connects In and Out to a port until ~. (nil), the end of In and a second of silence from the device (nil), ctx (nil),
// or an error: a DeviceError when it was never opened, ErrConsoleEnded, ErrNoReply, ErrUnreachable.
func Console(ctx context.Context, o Options, c ConsoleOptions) error {
	if c.Changed == nil {
		c.Changed = func() (l wire.ConsoleLine, ok bool) { return l, false }
	}
	s, err := openSession(ctx, o, c.Device, c.Name, wire.ConsoleDown{Op: wire.ConsoleOpen, Who: c.Who, ConsoleLine: c.Line})
	if err != nil {
		return err
	}
	defer s.close()
	if c.Opened != nil {
		c.Opened(s.opened.ConsoleLine)
	}
	out := newDroppingWriter(c.Out, s.o.Notice)
	defer out.close()
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	typed := make(chan input)
	if c.Escape {
		typed = make(chan input, typedAhead/minRead) // so that ~. is seen while nothing goes out
	}
	go read(ctx, leave, c, s.most(), typed)
	room := s.most()
	if c.Escape {
		room = typedAhead
	}
	sent := make(chan error, 1)
	go func() {
		defer leave()
		sent <- s.send(ctx, typed, room, c.Changed)
	}()
	err = s.receive(ctx, func(m wire.ConsoleUp) error { return out.write(m.Data) })
	leave()
	e := <-sent
	switch {
	case err != nil:
		return err
	case errors.Is(e, io.EOF) && s.fault != nil: // a pipe: perhaps no one reads the notices
		return *s.fault
	case errors.Is(e, io.EOF):
		return nil
	}
	return e
}

// read hands over what In gives, and closes typed at its end. What was changed about the line before
// bytes were written goes first.
func read(ctx context.Context, leave func(), c ConsoleOptions, most int, typed chan<- input) {
	defer close(typed)
	hand := func(i input) bool {
		select {
		case typed <- i:
			return true
		case <-ctx.Done():
			return false
		}
	}
	esc := escape{off: !c.Escape, lineBegins: true}
	for {
		buf := make([]byte, most)
		n, err := c.In.Read(buf)
		if l, ok := c.Changed(); ok && !hand(input{line: l}) {
			return
		}
		p, left := esc.filter(buf[:n])
		for part := range slices.Chunk(p, most) { // ~ was held back, so it may be one byte more
			if !hand(input{data: part}) {
				return
			}
		}
		if left {
			defer time.AfterFunc(consoleLeave, leave).Stop() // a broker that is gone must not keep the user here
			hand(input{left: true})
			<-ctx.Done()
		}
		if left || err != nil {
			return
		}
	}
}

// send sends what is typed within the window, changes of the line, and renewals. It returns nil when the user leaves,
// or io.EOF at the end of typed, once the port has it all and the device was silent for a while. room is how many
// bytes may wait for the window.
func (s *session) send(ctx context.Context, typed <-chan input, room int, changed func() (wire.ConsoleLine, bool)) error {
	keep := time.NewTicker(wire.ConsoleRenewS * time.Second)
	defer keep.Stop()
	tend := time.NewTicker(time.Second)
	defer tend.Stop()
	look := time.NewTicker(consoleLook)
	defer look.Stop()
	w := window{most: s.most(), room: room}
	var over <-chan time.Time
	var ended, ask time.Time
	wait := consoleLinger
	for {
		if i, ok := w.next(s.taken.Load()); i.left {
			return nil
		} else if ok {
			if err := s.say(ctx, i.message()); err != nil {
				return err
			}
			continue
		}
		from := typed
		if w.stuffed() {
			from = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case i, ok := <-from:
			if ok {
				w.add(i)
			} else {
				typed, over, ended = nil, time.After(consoleLinger), time.Now()
			}
			continue
		case <-look.C:
			if l, ok := changed(); ok {
				w.add(input{line: l})
			}
			continue
		case <-tend.C:
			_, _ = s.out.Tend(ctx)
			continue
		case <-s.more:
			continue
		case <-over:
			over = time.After(consoleLinger)
			silent := time.Since(time.Unix(0, s.heard.Load())) >= consoleLinger
			if w.empty(s.taken.Load()) && (silent || time.Since(ended) >= consoleLingerMost) {
				return io.EOF
			}
			if time.Now().Before(ask) {
				continue
			} // else ask how much is written, and then more and more seldom: the gateway answers a few a minute
			wait = min(2*wait, consoleAsk)
			ask = time.Now().Add(wait)
		case <-keep.C:
		}
		if err := s.say(ctx, wire.ConsoleDown{Op: wire.ConsoleKeep}); err != nil {
			return err
		}
	}
}

// most is how many bytes of data a message to the gateway may have.
func (s *session) most() int { return min(consoleRead, cmp.Or(max(s.opened.Max, 0), consoleRead)) }

// receive takes what the gateway says until the session ends.
func (s *session) receive(ctx context.Context, data func(wire.ConsoleUp) error) error {
	for {
		m, err := s.next(ctx, consoleSilent)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		s.taken.Store(m.Taken)
		select {
		case s.more <- struct{}{}:
		default:
		}
		s.tell(m)
		switch {
		case m.Op == wire.ConsoleClosed:
			return fmt.Errorf("%w: %s", ErrConsoleEnded, saidOf(m))
		case m.Op == wire.ConsoleSet && m.Error != "" && s.asked:
			return DeviceError{Reply: wire.Reply{Error: m.Error, Detail: m.Detail}}
		case m.Op == wire.ConsoleSet && m.Error == "":
			s.asked = false
		case m.Error != "":
			if s.fault == nil && m.Op == wire.ConsoleFault {
				s.fault = &DeviceError{Reply: wire.Reply{Error: m.Error, Detail: m.Detail}}
			}
			s.o.Notice("the gateway says: " + saidOf(m))
		case m.Op == wire.ConsoleData:
			s.heard.Store(time.Now().UnixNano())
			if err := data(m); err != nil {
				return err
			}
		}
	}
}

// tell says what is missing.
func (s *session) tell(m wire.ConsoleUp) {
	if m.Lost > 0 {
		s.o.Notice(fmt.Sprintf("%d bytes of the device are missing here: it is faster than the link", m.Lost))
	}
}

func saidOf(m wire.ConsoleUp) string {
	if m.Error == "" {
		return printable.Line(m.Detail)
	}
	return string(m.Error) + ": " + printable.Line(m.Detail)
}
