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

// order is a command that was taken from the queue of a bus.
type order struct {
	pending
	write *writing // nil: a request
	begun bool     // something of it was sent
	twice bool     // what it read was asked for again, as the answer may have been another's
}

// again is true once, for a read whose answer may be another's: it is asked for anew when the unit has rested.
func (o *order) again(request []byte, err error) bool {
	if o.twice || !errors.Is(err, errStale) || !modbus.Reads(request) {
		return false
	}
	o.twice = true
	return true
}

// admit takes what is queued, as long as there is room.
func (m *master) admit() {
	for len(m.orders) < m.d.o.Queue {
		select {
		case w := <-m.d.queue:
			m.add(w)
		default:
			return
		}
	}
}

func (m *master) add(w pending) {
	o := &order{pending: w}
	switch {
	case w.hold != nil:
	case w.asks:
		o.unit = m.b.index(w.query.Unit)
	default:
		o.write = &writing{writes: w.writes, retries: m.b.o.Retries}
	}
	m.orders = append(m.orders, o)
}

// ready is the first command whose unit does not rest; nil: none. What a console wants comes after all that was queued before it, and
// before all that was queued after it.
func (m *master) ready(now time.Time) *order {
	for i, o := range m.orders {
		switch {
		case o.hold != nil && i == 0:
			return o
		case o.hold != nil:
			return nil
		case !m.b.schedule.ReadyAt(o.unit).After(now):
			return o
		}
	}
	return nil
}

// step sends one request of a command; of some bits of a register, which is read first, two. The error is of the port.
func (m *master) step(ctx context.Context, o *order) error {
	if o.hold != nil {
		err, fatal := m.d.carryOut(m.port, o.pending)
		m.quiet = time.Now().Add(m.d.o.onLine(len(o.data)))
		m.finish(o, Answer{}, err)
		if fatal {
			return err
		}
		return nil
	}
	if o.write == nil {
		return m.request(ctx, o)
	}
	for {
		q := o.next()
		q.query = modbus.Query{Unit: m.b.units[o.unit].Address, PDU: o.write.pdu()}
		q.timeout = m.b.o.Timeout
		if o.write.phase == readingBack {
			q.expires = time.Time{} // the writes before it were in time
		}
		pdu, _, err := m.ask(ctx, q)
		if o.again(q.query.PDU, err) {
			return nil
		}
		if err == nil {
			pdu, err = modbus.Data(q.query.PDU, pdu)
		}
		f := m.judge(o.unit, err)
		if f.fatal != nil {
			return m.end(o, Answer{Values: o.write.values}, err)
		}
		if o.write.heard(pdu, err, f); o.write.over() || errors.Is(err, serialport.ErrAborted) {
			return m.end(o, Answer{Values: o.write.values}, o.write.err)
		}
		if o.write.before == nil { // else what was read may change before it is written back
			return nil
		}
	}
}

// next is the next request of a command.
func (o *order) next() question {
	q := question{unit: o.unit, expires: o.expires}
	if !o.begun {
		q.queued = o.queued
	}
	o.begun = true
	return q
}

// request passes a request on.
func (m *master) request(ctx context.Context, o *order) error {
	q := o.next()
	q.query, q.timeout = o.query, o.timeout
	pdu, _, err := m.ask(ctx, q)
	if o.again(q.query.PDU, err) {
		return nil
	}
	if err != nil {
		return m.end(o, Answer{}, err)
	}
	if o.whole {
		pdu = append([]byte{o.query.Unit}, pdu...)
	}
	return m.end(o, Answer{Frames: [][]byte{pdu}}, nil)
}

// end answers a command, and returns what is the port's own of its error.
func (m *master) end(o *order, a Answer, err error) error {
	var e modbus.Exception
	switch {
	case err == nil:
		m.finish(o, a, nil)
	case errors.Is(err, serialport.ErrAborted):
		m.finish(o, a, fmt.Errorf("device %q: %w", m.d.o.Name, err))
		return fmt.Errorf("%w: %w", serialport.ErrGone, serialport.ErrAborted)
	case errors.Is(err, ErrNoAnswer), errors.Is(err, ErrReadBack), errors.Is(err, ErrExpired), errors.Is(err, ErrStuck), errors.Is(err, errFirst), errors.As(err, &e):
		m.finish(o, a, fmt.Errorf("device %q: %w", m.d.o.Name, err))
	default:
		m.finish(o, a, fmt.Errorf("device %q: %w: %w", m.d.o.Name, ErrLost, err))
		return err
	}
	return nil
}

func (m *master) finish(o *order, a Answer, err error) {
	m.orders = slices.DeleteFunc(m.orders, func(x *order) bool { return x == o })
	o.done(a, err)
}

// abandon answers what waits when a session ends.
func (m *master) abandon() {
	for len(m.orders) > 0 {
		o, err := m.orders[0], ErrNotOpen
		var a Answer
		if o.write != nil && o.write.sent > 0 {
			err, a.Values = ErrLost, o.write.values
		}
		m.finish(o, a, fmt.Errorf("device %q: %w", m.d.o.Name, err))
	}
}
