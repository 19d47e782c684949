package operator

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
)

// session is one of a console or a tap.
type session struct {
	*client
	id, topic, replies string
	opened             wire.ConsoleUp // what the gateway said of the port

	// of the goroutine that calls say
	out *transport.Ordered
	seq uint64

	// of the goroutine that calls next
	in    wire.Sequence
	asked bool         // a change of the line was asked for at the beginning, and is not answered
	fault *DeviceError // the first thing that could not be done

	taken atomic.Int64  // bytes of ours that the gateway has dealt with
	heard atomic.Int64  // Unix ns of the last data
	more  chan struct{} // capacity 1: taken may have grown
}

// openSession connects and begins a session; the caller closes it.
func openSession(ctx context.Context, o Options, device, name string, first wire.ConsoleDown) (*session, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := checkNames(device, name, false); err != nil {
		return nil, err
	}
	t := o.Topics.For(device)
	s := &session{id: randomHex(8), topic: wire.Expand(t.Cmd, "name", name) + wire.ConsoleSuffix,
		replies: wire.Expand(t.Reply, "name", name) + wire.ConsoleSuffix, more: make(chan struct{}, 1)}
	if s.client, err = connect(ctx, o, s.replies); err != nil {
		return nil, err
	}
	s.out, s.asked = s.link.Ordered(), first.ConsoleLine != (wire.ConsoleLine{})
	s.heard.Store(time.Now().UnixNano())
	first.Expires = time.Now().Add(consoleOpenWithin).UnixMilli()
	if err := s.begin(ctx, first); err != nil {
		s.close() // the gateway may have it open
		if errors.Is(err, ErrNoReply) {
			err = fmt.Errorf("%w; check that %s is online (linkbeatctl devices), and that its version has consoles", err, device)
		}
		return nil, err
	}
	return s, nil
}

func (s *session) begin(ctx context.Context, first wire.ConsoleDown) error {
	if err := s.say(ctx, first); err != nil {
		return err
	}
	m, err := s.next(ctx, consoleOpenWithin)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case m.Op == wire.ConsoleClosed && m.Error == wire.Denied:
		return fmt.Errorf("%s: %s; set console: true for this device in the gateway's configuration", m.Error,
			printable.Line(m.Detail))
	case m.Op == wire.ConsoleClosed && m.Error == wire.Expired:
		return errors.New(saidOf(m)) // what there is to advise about commands does not help here
	case m.Op == wire.ConsoleClosed:
		return DeviceError{Reply: wire.Reply{Error: m.Error, Detail: m.Detail}}
	case m.Op != wire.ConsoleOpened:
		return fmt.Errorf("%w: the first message of the gateway was lost: try again", ErrNoReply)
	}
	s.opened = m
	return nil
}

// say sends one message.
func (s *session) say(ctx context.Context, m wire.ConsoleDown) error {
	s.seq++
	m.ID, m.Seq = s.id, s.seq
	err := s.out.Send(ctx, transport.Message{Topic: s.topic, Payload: m.Append(nil), QoS: 1, Cause: transport.CauseCmd})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return nil
}

// next is the next message of the session; ErrNoReply when none came within limit.
func (s *session) next(ctx context.Context, limit time.Duration) (wire.ConsoleUp, error) {
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		raw, dropped, ok := s.inbox.take(waiting)
		if !ok {
			return wire.ConsoleUp{}, fmt.Errorf("%w from the gateway within %v", ErrNoReply, limit)
		}
		if dropped > 0 {
			s.o.Notice(fmt.Sprintf("%d messages dropped here: the output is slower than the device", dropped))
		}
		m, err := wire.ParseConsoleUp(raw.payload)
		if err != nil || m.ID != s.id {
			continue // of another operator
		}
		fresh, missing := s.in.See(m.Seq)
		if !fresh && m.Op != wire.ConsoleClosed { // a gateway that was restarted counts from 1
			continue
		}
		if missing > 0 {
			s.o.Notice(fmt.Sprintf("%d messages of the gateway did not arrive: some of what the device said is missing here",
				missing))
		}
		return m, nil
	}
}

// close ends the session in order, if the broker is there.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if s.say(ctx, wire.ConsoleDown{Op: wire.ConsoleClose}) == nil {
		for done, err := false, error(nil); !done && err == nil; {
			if done, err = s.out.Tend(ctx); !done {
				pauseFor(ctx, 10*time.Millisecond)
			}
			if ctx.Err() != nil {
				break
			}
		}
	}
	s.client.close()
}

func pauseFor(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
