package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// fault is why a read has no data.
type fault struct {
	bad    string // for the record
	silent bool   // the unit did not answer
	fatal  error  // of the port
}

// read asks a unit for one block.
func (m *master) read(ctx context.Context, unit int, b modbus.Block, timeout time.Duration) (data []byte, at time.Time, f fault) {
	request := b.PDU()
	pdu, at, err := m.ask(ctx, modbus.Query{Unit: m.b.units[unit].Address, PDU: request}, timeout)
	if err == nil {
		data, err = modbus.Data(request, pdu)
	}
	return data, at, m.judge(unit, err)
}

// judge counts how a request ended.
func (m *master) judge(unit int, err error) fault {
	var e modbus.Exception
	switch {
	case err == nil:
		return fault{}
	case errors.As(err, &e):
		m.d.unit(unit, func(s *UnitStatus) { s.Exceptions++ })
		return fault{bad: e.Error(), silent: e.Absent()}
	case errors.Is(err, ErrNoAnswer):
		m.d.unit(unit, func(s *UnitStatus) { s.Timeouts++ })
		return fault{bad: "timeout", silent: true}
	case errors.Is(err, errGarbled), errors.Is(err, modbus.ErrAnswer):
		m.d.unit(unit, func(s *UnitStatus) { s.BadAnswers++ })
		return fault{bad: errGarbled.Error(), silent: true}
	}
	return fault{fatal: err}
}

// poll reads one group of one unit, and tells what it says.
func (m *master) poll(ctx context.Context, j modbus.Job) error {
	u := m.b.units[j.Unit]
	began := time.Now()
	p := gathered{regs: u.Registers}
	blocks := &u.groups[j.Group].blocks
	for i := 0; i < len(*blocks); {
		b := (*blocks)[i]
		if i > 0 && m.d.holder.Load() != nil {
			return nil // a console has the bus: half a poll says nothing
		}
		if i > 0 && !p.failed {
			if _, err := m.command(ctx); err != nil { // between two requests
				return err
			}
		}
		if p.failed { // one timeout is enough
			p.add(b, nil, p.why)
			i++
			continue
		}
		timeout := j.Timeout
		if p.heard {
			timeout = m.b.o.Timeout
		}
		data, at, f := m.read(ctx, j.Unit, b, timeout)
		if f.fatal != nil {
			return f.fatal
		}
		if parts, ok := b.Split(u.Registers); ok && (f.bad == modbus.IllegalDataAddress.Error() || f.bad == modbus.IllegalDataValue.Error()) {
			p.heard = true
			*blocks = append((*blocks)[:i:i], append(parts, (*blocks)[i+1:]...)...)
			continue
		}
		p.answered(f, at)
		p.add(b, data, f.bad)
		i++
	}
	m.d.unit(j.Unit, func(s *UnitStatus) { s.Polls++ })
	now := time.Now()
	if p.failed {
		if !m.b.schedule.Silent(j, p.heard, now) {
			return nil // it is asked again
		}
	} else {
		m.b.schedule.Answered(j, now)
	}
	m.d.unitState(j.Unit, m.b.schedule.State(j.Unit), p.why)
	if p.at.IsZero() {
		p.at = began
	}
	m.tell(u, p)
	return nil
}

// gathered gathers what one poll brought.
type gathered struct {
	regs     []modbus.Register
	readings []modbus.Reading
	at       time.Time // of the first byte
	heard    bool      // something was answered
	failed   bool      // something was not
	why      string
}

func (p *gathered) answered(f fault, at time.Time) {
	if p.at.IsZero() {
		p.at = at
	}
	p.heard = p.heard || !f.silent
	p.failed = p.failed || f.silent
	if f.bad != "" {
		p.why = f.bad
	}
}

func (p *gathered) add(b modbus.Block, data []byte, bad string) {
	for _, i := range b.Items {
		x := modbus.Reading{Register: i, Bad: bad}
		if bad == "" {
			var err error
			if x.Value, err = p.regs[i].Decode(b.Cut(data, p.regs[i])); err != nil {
				x.Bad = err.Error()
			}
		}
		p.readings = append(p.readings, x)
	}
}

// tell hands over what is worth a record.
func (m *master) tell(u *busUnit, p gathered) {
	chosen := u.report.Select(p.readings, time.Now())
	if len(chosen) == 0 {
		return
	}
	v := Values{Unit: u.Name, Time: p.at}
	for _, x := range chosen {
		r := u.Registers[x.Register]
		v.Readings = append(v.Readings, Reading{Name: r.Name, Unit: r.Unit, Value: x.Value, Bad: x.Bad})
	}
	err := m.d.o.OnValues(v)
	if err != nil {
		u.report.Forget(chosen)
	}
	m.d.framed(m.stats, err)
}

// unit changes what is known of a unit.
func (d *Device) unit(i int, change func(*UnitStatus)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&d.bus.status[i])
}

// unitState is called after each poll.
func (d *Device) unitState(i int, s modbus.State, why string) {
	state := map[modbus.State]string{modbus.Unknown: UnitUnknown, modbus.Live: UnitLive, modbus.Dead: UnitDead}[s]
	d.unit(i, func(u *UnitStatus) {
		if u.State != state {
			u.State, u.Since = state, time.Now()
		}
		u.Why = why
	})
}

// waited is called when a command's turn has come on a bus, with how long it waited while the bus was idle.
func (d *Device) waited(idle time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.IdleWait = max(d.status.IdleWait, idle)
}
