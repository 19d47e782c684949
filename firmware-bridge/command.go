package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// ErrReadBack says that a register reads otherwise than was written.
var ErrReadBack = errors.New("does not read as written")

// serve carries out one command. The error is of the port.
func (m *master) serve(ctx context.Context, w pending) error {
	now := time.Now()
	if w.hold != nil {
		err, fatal := m.d.direct(m.port, w)
		m.quiet = time.Now().Add(m.d.onLine(len(w.data)))
		if w.done(Answer{}, err); fatal {
			return err
		}
		return nil
	}
	m.d.waited(now.Sub(latest(w.queued, m.idleSince)))
	if !w.expires.IsZero() && now.After(w.expires) {
		w.done(Answer{}, fmt.Errorf("device %q: %w", m.d.o.Name, ErrExpired))
		return nil
	}
	var a Answer
	var err error
	if w.asks {
		a, err = m.request(ctx, w)
	} else {
		a, err = m.write(ctx, w)
	}
	var e modbus.Exception
	switch {
	case err == nil:
		w.done(a, nil)
		return nil
	case errors.Is(err, ErrNoAnswer), errors.Is(err, ErrReadBack), errors.Is(err, errGarbled), errors.Is(err, ErrStuck), errors.As(err, &e):
		w.done(a, fmt.Errorf("device %q: %w", m.d.o.Name, err))
		return nil
	}
	w.done(a, fmt.Errorf("device %q: %w: %w", m.d.o.Name, ErrLost, err))
	return err
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// request passes a request on.
func (m *master) request(ctx context.Context, w pending) (Answer, error) {
	pdu, _, err := m.ask(ctx, w.query, w.timeout)
	if err != nil {
		return Answer{}, err
	}
	if w.whole {
		pdu = append([]byte{w.query.Unit}, pdu...)
	}
	return Answer{Frames: [][]byte{pdu}}, nil
}

// write writes values and reads them back. What was not answered may have been written all the same: the values tell.
func (m *master) write(ctx context.Context, w pending) (a Answer, err error) {
	written := 0
	for _, x := range w.writes {
		if err = m.writeOne(ctx, w.unit, x); err != nil {
			err = fmt.Errorf("%s (%d of %d written): %w", x.Register.Name, written, len(w.writes), err)
			break
		}
		written++
	}
	if err != nil && !errors.Is(err, ErrNoAnswer) && !errors.Is(err, errGarbled) {
		return a, err
	}
	if err == nil {
		m.b.schedule.Heard(w.unit, time.Now())
	}
	for _, x := range w.writes {
		if x.Register.Blind {
			continue
		}
		got, fatal := m.readBack(ctx, w.unit, x.Register)
		if fatal != nil {
			return a, fatal
		}
		a.Values = append(a.Values, got)
		if err == nil && (got.Bad != "" || got.Value != x.Want) {
			err = fmt.Errorf("%s %w: %s, wrote %s", x.Register.Name, ErrReadBack, got, x.Want)
		}
		if got.Bad == "timeout" {
			break
		}
	}
	return a, err
}

// String is the value, or why there is none.
func (r Reading) String() string {
	if r.Bad != "" {
		return r.Bad
	}
	return r.Value.String()
}

// writeOne sends one write, once.
func (m *master) writeOne(ctx context.Context, unit int, w modbus.Write) error {
	var before []byte
	if w.Part() {
		r := w.Register
		block := modbus.Block{Kind: r.Kind, Address: r.Address, Count: r.Size()}
		data, _, f := m.insist(ctx, unit, block)
		switch {
		case f.fatal != nil:
			return f.fatal
		case f.bad != "":
			return fmt.Errorf("reading its register first: %w", errors.New(f.bad))
		}
		before = data
	}
	request := w.PDU(before)
	pdu, _, err := m.ask(ctx, modbus.Query{Unit: m.b.units[unit].Address, PDU: request}, m.b.o.Timeout)
	if err == nil {
		_, err = modbus.Data(request, pdu)
	}
	m.judge(unit, err)
	return err
}

// insist reads with retries: reading changes nothing.
func (m *master) insist(ctx context.Context, unit int, b modbus.Block) (data []byte, at time.Time, f fault) {
	for range 1 + m.b.o.Retries {
		if data, at, f = m.read(ctx, unit, b, m.b.o.Timeout); f.fatal != nil || !f.silent {
			break
		}
	}
	return data, at, f
}

func (m *master) readBack(ctx context.Context, unit int, r modbus.Register) (Reading, error) {
	data, _, f := m.insist(ctx, unit, modbus.Block{Kind: r.Kind, Address: r.Address, Count: r.Size()})
	out := Reading{Name: r.Name, Unit: r.Unit, Bad: f.bad}
	if f.bad == "" && f.fatal == nil {
		var err error
		if out.Value, err = r.Decode(data); err != nil {
			out.Bad = err.Error()
		}
	}
	return out, f.fatal
}
