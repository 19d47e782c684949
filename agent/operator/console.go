package operator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

const (
	consoleOpenWithin = 15 * time.Second
	consoleSilent     = wire.ConsoleLeaseS * time.Second // the gateway answers each renewal; without any, it is gone
	consoleLinger     = time.Second                      // after the end of In, for what the device still says
	consoleRead       = 2 << 10                          // bytes in one message
)

// ConsoleOptions say which port, and what it is connected to here.
type ConsoleOptions struct {
	Device, Name string
	Who          string           // for the gateway's log
	Line         wire.ConsoleLine // to change at the beginning

	In     io.Reader                // what goes to the port; a read that is under way may outlast the call
	Out    io.Writer                // what the port says
	Lines  <-chan wire.ConsoleLine  // changes on the way; nil: none
	Opened func(l wire.ConsoleLine) // told how the line is configured; may be nil
	Escape bool                     // ~. after a line's end leaves, ~~ is one ~
}

// ErrConsoleEnded says that the gateway ended a console that was open; the text around it says why.
var ErrConsoleEnded = errors.New("the gateway ended the session")

// Console connects In and Out to a port until ~. (nil), the end of In and a second of silence from the device (nil), ctx (nil), or
// an error: a DeviceError when it was never opened, ErrConsoleEnded, ErrNoReply, ErrUnreachable.
func Console(ctx context.Context, o Options, c ConsoleOptions) error {
	s, err := openSession(ctx, o, c.Device, c.Name, wire.ConsoleDown{Op: wire.ConsoleOpen, Who: c.Who, ConsoleLine: c.Line})
	if err != nil {
		return err
	}
	defer s.close()
	if c.Opened != nil {
		c.Opened(s.line)
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	typed := make(chan []byte)
	go read(ctx, c, typed)
	sent := make(chan error, 1)
	go func() {
		defer leave()
		sent <- s.send(ctx, typed, c.Lines)
	}()
	err = s.receive(ctx, func(m wire.ConsoleUp) error {
		_, err := c.Out.Write(m.Data)
		return err
	})
	leave()
	if e := <-sent; err == nil {
		err = e
	}
	return err
}

// read hands over what In gives, and closes typed at its end or at ~.
func read(ctx context.Context, c ConsoleOptions, typed chan<- []byte) {
	defer close(typed)
	esc := escape{off: !c.Escape, lineBegins: true}
	for {
		buf := make([]byte, consoleRead)
		n, err := c.In.Read(buf)
		p, left := esc.filter(buf[:n])
		if len(p) > 0 {
			select {
			case typed <- p:
			case <-ctx.Done():
				return
			}
		}
		if left || err != nil {
			return
		}
	}
}

// send sends what is typed within the window, changes of the line, and renewals. It returns at the end of typed, once the port has it
// all and the device was silent for a while.
func (s *session) send(ctx context.Context, typed <-chan []byte, lines <-chan wire.ConsoleLine) error {
	keep := time.NewTicker(wire.ConsoleRenewS * time.Second)
	defer keep.Stop()
	tend := time.NewTicker(time.Second)
	defer tend.Stop()
	var total int64
	var over <-chan time.Time
	for {
		from := typed
		if total-s.written.Load() >= wire.ConsoleWindow-consoleRead {
			from = nil
		}
		m := wire.ConsoleDown{}
		select {
		case <-ctx.Done():
			return nil
		case p, ok := <-from:
			if !ok {
				typed, over = nil, time.After(consoleLinger)
				continue
			}
			total += int64(len(p))
			m.Op, m.Data = wire.ConsoleData, p
		case l := <-lines:
			m.Op, m.ConsoleLine = wire.ConsoleSet, l
		case <-keep.C:
			m.Op = wire.ConsoleKeep
		case <-over:
			over = time.After(consoleLinger)
			if s.written.Load() >= total && time.Since(time.Unix(0, s.heard.Load())) >= consoleLinger {
				return nil
			}
			m.Op = wire.ConsoleKeep // asks how much is written
		case <-tend.C:
			_, _ = s.out.Tend(ctx)
			continue
		case <-s.more:
			continue
		}
		if err := s.say(ctx, m); err != nil {
			return err
		}
	}
}

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
		s.written.Store(m.Written)
		select {
		case s.more <- struct{}{}:
		default:
		}
		s.tell(m)
		switch {
		case m.Op == wire.ConsoleClosed:
			return fmt.Errorf("%w: %s", ErrConsoleEnded, saidOf(m))
		case m.Op == wire.ConsoleSet && m.Error != "":
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
	if m.Missing > s.missing {
		s.o.Notice(fmt.Sprintf("%d messages did not reach the gateway", m.Missing-s.missing))
		s.missing = m.Missing
	}
}

func saidOf(m wire.ConsoleUp) string {
	if m.Error == "" {
		return printable([]byte(m.Detail))
	}
	return string(m.Error) + ": " + printable([]byte(m.Detail))
}
