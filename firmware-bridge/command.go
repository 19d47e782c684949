package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// command is what was taken from the queue of a bus and is not done.
type command struct {
	writeReq
	write    *writing // nil: a request
	begun    bool     // a request of it was sent
	repeated bool     // its read was sent again, as the answer may have been stale
}

// repeat is true once, for a read whose answer may be stale: it is sent again after the cooldown of the unit.
func (c *command) repeat(request []byte, err error) bool {
	if c.repeated || !errors.Is(err, errStale) || !modbus.Reads(request) {
		return false
	}
	c.repeated = true
	return true
}

// admit takes commands from the queue, as long as there is room.
func (m *master) admit() {
	for len(m.commands) < m.d.o.Queue {
		select {
		case w := <-m.d.queue:
			m.add(w)
		default:
			return
		}
	}
}

func (m *master) add(w writeReq) {
	c := &command{writeReq: w}
	switch {
	case w.hold != nil:
	case w.isRequest:
		c.unit = m.b.index(w.query.Unit)
	default:
		c.write = &writing{writes: w.writes, retries: m.b.o.Retries}
	}
	m.commands = append(m.commands, c)
}

// ready is the first command whose unit is not on cooldown; nil: none. What a console writes keeps its place in the queue: it
// goes after all commands before it, and before all commands after it.
func (m *master) ready(now time.Time) *command {
	for i, c := range m.commands {
		switch {
		case c.hold != nil && i == 0:
			return c
		case c.hold != nil:
			return nil
		case !m.b.schedule.ReadyAt(c.unit).After(now):
			return c
		}
	}
	return nil
}

// advance sends the next request of a command; for some bits of a register two, as that is read first. The error is the port's.
func (m *master) advance(ctx context.Context, c *command) error {
	if c.hold != nil {
		err, fatal := m.d.carryOut(m.port, c.writeReq)
		m.quiet = time.Now().Add(m.d.o.onLine(len(c.data)))
		m.finish(c, Answer{}, err)
		if fatal {
			return err
		}
		return nil
	}
	if c.write == nil {
		return m.request(ctx, c)
	}
	for {
		x := c.next()
		x.query = modbus.Query{Unit: m.b.units[c.unit].Address, PDU: c.write.pdu()}
		x.timeout = m.b.o.Timeout
		if c.write.phase == readingBack {
			x.expires = time.Time{} // the writes before it were in time
		}
		pdu, _, err := m.exchange(ctx, x)
		if c.repeat(x.query.PDU, err) {
			return nil
		}
		if err == nil {
			pdu, err = modbus.Data(x.query.PDU, pdu)
		}
		f := m.classify(c.unit, err)
		if f.fatal != nil {
			return m.end(c, Answer{Values: c.write.values}, err)
		}
		if c.write.result(pdu, err, f); c.write.done() || errors.Is(err, serialport.ErrAborted) {
			return m.end(c, Answer{Values: c.write.values}, c.write.err)
		}
		if c.write.before == nil { // else go on at once: what was read may change before it is written back
			return nil
		}
	}
}

// next is the next request of a command, without what it asks.
func (c *command) next() exchange {
	x := exchange{unit: c.unit, expires: c.expires}
	if !c.begun {
		x.queued = c.queued
	}
	c.begun = true
	return x
}

// request sends the one request of a command.
func (m *master) request(ctx context.Context, c *command) error {
	x := c.next()
	x.query, x.timeout = c.query, c.timeout
	pdu, _, err := m.exchange(ctx, x)
	if c.repeat(x.query.PDU, err) {
		return nil
	}
	if err != nil {
		return m.end(c, Answer{}, err)
	}
	if c.withAddress {
		pdu = append([]byte{c.query.Unit}, pdu...)
	}
	return m.end(c, Answer{Frames: [][]byte{pdu}}, nil)
}

// end answers a command; err is how it went. The error that it returns is the port's.
func (m *master) end(c *command, a Answer, err error) error {
	var e modbus.Exception
	switch {
	case err == nil:
		m.finish(c, a, nil)
	case errors.Is(err, serialport.ErrAborted):
		m.finish(c, a, fmt.Errorf("device %q: %w", m.d.o.Name, err))
		return fmt.Errorf("%w: %w", serialport.ErrGone, serialport.ErrAborted)
	case errors.Is(err, ErrNoAnswer), errors.Is(err, ErrReadBack), errors.Is(err, ErrExpired), errors.Is(err, ErrStuck),
		errors.Is(err, errFirst), errors.As(err, &e):
		m.finish(c, a, fmt.Errorf("device %q: %w", m.d.o.Name, err))
	default:
		m.finish(c, a, fmt.Errorf("device %q: %w: %w", m.d.o.Name, ErrLost, err))
		return err
	}
	return nil
}

func (m *master) finish(c *command, a Answer, err error) {
	m.commands = slices.DeleteFunc(m.commands, func(other *command) bool { return other == c })
	c.done(a, err)
}

// failAll answers the commands that wait when a session ends.
func (m *master) failAll() {
	for len(m.commands) > 0 {
		c, err := m.commands[0], ErrNotOpen
		var a Answer
		if c.write != nil && c.write.sent > 0 {
			err, a.Values = ErrLost, c.write.values
		}
		m.finish(c, a, fmt.Errorf("device %q: %w", m.d.o.Name, err))
	}
}
