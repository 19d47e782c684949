package bridge

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// fault is why a read has no data.
type fault struct {
	bad   string // for the record
	void  bool   // the unit said nothing that could be understood
	stale bool   // it is to be asked again
	fatal error  // of the port
}

// read asks a unit for one block.
func (m *master) read(ctx context.Context, unit int, b modbus.Block) (data []byte, at time.Time, f fault) {
	request := b.PDU()
	pdu, at, err := m.ask(ctx, question{unit: unit, query: modbus.Query{Unit: m.b.units[unit].Address, PDU: request}, timeout: m.b.o.Timeout})
	if err == nil {
		data, err = modbus.Data(request, pdu)
	}
	if f = m.judge(unit, err); errors.Is(err, ErrStuck) {
		f.fatal = err
	}
	return data, at, f
}

// judge counts how a request ended.
func (m *master) judge(unit int, err error) fault {
	var e modbus.Exception
	switch {
	case err == nil:
		return fault{}
	case errors.As(err, &e):
		m.d.monitor.unit(unit, func(s *UnitStatus) { s.Exceptions++ })
		return fault{bad: e.Error(), void: e.FromGateway()}
	case errors.Is(err, errStale):
		m.d.monitor.unit(unit, func(s *UnitStatus) { s.BadAnswers++ })
		return fault{bad: "late answer", void: true, stale: true}
	case errors.Is(err, errGarbled), errors.Is(err, modbus.ErrAnswer):
		m.d.monitor.unit(unit, func(s *UnitStatus) { s.BadAnswers++ })
		return fault{bad: "bad answer", void: true}
	case errors.Is(err, ErrNoAnswer):
		m.d.monitor.unit(unit, func(s *UnitStatus) { s.Timeouts++ })
		return fault{bad: "timeout", void: true}
	case errors.Is(err, ErrExpired), errors.Is(err, ErrStuck):
		return fault{bad: err.Error()}
	}
	return fault{fatal: err}
}

// poll reads what a job says of one group of one unit, and hands over what it brought. After a silence it ends: the unit rests, and
// what is left of it comes later.
func (m *master) poll(ctx context.Context, j modbus.Job) error {
	u := m.b.units[j.Unit]
	p := m.begin(&j, time.Now())
	g := &u.groups[j.Group]
	asked, silent := false, false
	for ; len(p.todo) > 0 && !silent; asked = true {
		if asked {
			if m.d.holder.Load() != nil {
				return nil // a console has the bus: half a poll says nothing
			}
			m.admit()
			if o := m.ready(time.Now()); o != nil { // between two requests
				if err := m.step(ctx, o); err != nil {
					return err
				}
			}
			if m.b.schedule.ReadyAt(j.Unit).After(time.Now()) {
				break
			}
		}
		b := p.todo[0]
		data, at, f := m.read(ctx, j.Unit, b.Block)
		switch parts, ok := b.Split(u.Registers); {
		case f.fatal != nil:
			return f.fatal
		case f.stale: // once the unit has rested
			p.why = f.bad
			continue
		case ok && (f.bad == modbus.IllegalDataAddress.Error() || f.bad == modbus.IllegalDataValue.Error()):
			p.todo = append(g.split(b, parts), p.todo[1:]...)
			continue
		}
		p.todo = p.todo[1:]
		if silent = f.void; silent {
			m.silent(j, &p, b, f.bad)
			continue
		}
		b.silent, b.last = 0, time.Time{}
		p.add(b.Block, data, f.bad, at)
	}
	m.d.monitor.unit(j.Unit, func(s *UnitStatus) { s.Polls++ })
	if !silent {
		m.polled(j, p.todo)
	}
	if p.why == "" && u.partly() {
		p.why = "some of its registers are not answered"
	}
	if m.show(j.Unit, p.why); p.at.IsZero() {
		p.at = p.began
	}
	m.deliver(u, p)
	return nil
}

// gathered gathers what one poll brings.
type gathered struct {
	regs     []modbus.Register
	todo     []*pollBlock
	readings []modbus.Reading
	began    time.Time
	at       time.Time // of the first byte
	why      string
}

// begin says what a job asks for. What was silent last comes last: it must not hide the rest.
func (m *master) begin(j *modbus.Job, now time.Time) gathered {
	u := m.b.units[j.Unit]
	if now.Sub(u.planned) >= planAgain && m.b.schedule.State(j.Unit) == modbus.Live {
		m.b.anew(j.Unit, now)
		j.Part = modbus.Due
	}
	g := &u.groups[j.Group]
	p := gathered{regs: u.Registers, began: now}
	switch {
	case j.Part == modbus.Apart && len(g.apart) > 0: // back into the rhythm, if it answers
		p.todo = []*pollBlock{g.apart[0]}
		g.blocks, g.apart = append(g.blocks, g.apart[0]), g.apart[1:]
	case j.Part == modbus.Remaining && len(g.remaining) > 0:
		p.todo, g.remaining = g.remaining, nil
	default:
		g.began, g.remaining = now, nil
		p.todo = slices.Clone(g.blocks)
		slices.SortStableFunc(p.todo, func(a, b *pollBlock) int { return a.last.Compare(b.last) })
	}
	return p
}

// polled is called after a poll without a silence; left is what it could not ask.
func (m *master) polled(j modbus.Job, left []*pollBlock) {
	now, g := time.Now(), &m.b.units[j.Unit].groups[j.Group]
	m.b.schedule.Answered(j, len(left) > 0, now)
	if j.Part != modbus.Apart {
		g.remaining = left
	} else if len(g.apart) > 0 {
		m.b.schedule.SetApart(j.Unit, j.Group, now)
	}
}

// silent is called when a block was not answered.
func (m *master) silent(j modbus.Job, p *gathered, b *pollBlock, why string) {
	now, u := time.Now(), m.b.units[j.Unit]
	g, was := &u.groups[j.Group], m.b.schedule.State(j.Unit)
	if b.last, p.why = now, why; was == modbus.Live {
		if b.silent++; b.silent == 1 {
			b.since = g.began
		}
	}
	switch m.b.schedule.Unanswered(j, modbus.Unanswered{Times: b.silent, Since: b.since, Alone: u.single()}, now) {
	case modbus.TryAgain:
		g.remaining = append(p.todo, b)
	case modbus.GoesApart:
		p.add(b.Block, nil, why, now)
		g.blocks = slices.DeleteFunc(g.blocks, func(x *pollBlock) bool { return x == b })
		apart := []*pollBlock{b}
		if parts, ok := b.Split(u.Registers); ok && j.Part == modbus.Apart { // one register of it may be to blame
			apart = planned(parts)
		}
		g.apart = append(g.apart, apart...)
		if j.Part != modbus.Apart && len(p.todo) > 0 {
			g.remaining = p.todo
			m.b.schedule.Postpone(j, now)
		}
	case modbus.UnitDead:
		items := g.items
		if was == modbus.Live { // all of it is bad, whenever it would be read
			u.plan(m.b.o, now)
			items = u.read()
		}
		p.bad(items, why)
	}
	p.todo = nil
}

// planned makes blocks that were not asked yet.
func planned(blocks []modbus.Block) (out []*pollBlock) {
	for _, b := range blocks {
		out = append(out, &pollBlock{Block: b})
	}
	return out
}

// split replaces a block that the unit refuses to read as a whole.
func (g *pollGroup) split(b *pollBlock, parts []modbus.Block) []*pollBlock {
	in := planned(parts)
	if i := slices.Index(g.blocks, b); i >= 0 {
		g.blocks = slices.Replace(g.blocks, i, i+1, in...)
	}
	return in
}

// read is all registers that are polled.
func (u *busUnit) read() (items []int) {
	for _, g := range u.groups {
		items = append(items, g.items...)
	}
	return items
}

// partly is true when something is apart.
func (u *busUnit) partly() bool {
	return slices.ContainsFunc(u.groups, func(g pollGroup) bool { return len(g.apart) > 0 })
}

// bad says of registers that they have no value.
func (p *gathered) bad(items []int, why string) {
	for _, i := range items {
		p.readings = append(p.readings, modbus.Reading{Register: i, Bad: why})
	}
}

// add takes what a block says.
func (p *gathered) add(b modbus.Block, data []byte, bad string, at time.Time) {
	if p.at.IsZero() {
		p.at = at
	}
	if bad != "" {
		p.why = bad
	}
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

// deliver hands over what is worth a record.
func (m *master) deliver(u *busUnit, p gathered) {
	u.lost = u.lost && len(p.readings) == 0
	m.b.deliver(u, p, m.stats)
}

// show is called after each poll, and when a unit was found by something else.
func (m *master) show(i int, why string) {
	state := map[modbus.State]string{modbus.Unknown: UnitUnknown, modbus.Live: UnitLive, modbus.Dead: UnitDead}[m.b.schedule.State(i)]
	m.d.monitor.unit(i, func(u *UnitStatus) {
		if u.State != state {
			u.State, u.Since = state, time.Now()
		}
		u.Why = why
	})
}
