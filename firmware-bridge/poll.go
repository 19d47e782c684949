package bridge

import (
	"context"
	"errors"
	"slices"
	"sort"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// failure is why a read has no data.
type failure struct {
	bad      string // for the record
	noAnswer bool   // the unit gave no usable answer
	stale    bool   // the answer may be an earlier one's: ask again
	fatal    error  // of the port
}

// read sends the request for one block and returns its data, and when the first byte of it was read.
func (m *master) read(ctx context.Context, unit int, b modbus.Block) (data []byte, at time.Time, f failure) {
	request := b.PDU()
	query := modbus.Query{Unit: m.b.units[unit].Address, PDU: request}
	pdu, at, err := m.exchange(ctx, exchange{unit: unit, query: query, timeout: m.b.o.Timeout})
	if err == nil {
		data, err = modbus.Data(request, pdu)
	}
	if f = m.classify(unit, err); errors.Is(err, ErrStuck) {
		f.fatal = err
	}
	return data, at, f
}

// classify counts how a request ended, and says what that means for what was read.
func (m *master) classify(unit int, err error) failure {
	var e modbus.Exception
	switch {
	case err == nil:
		return failure{}
	case errors.As(err, &e):
		m.d.monitor.unit(unit, func(s *UnitStatus) { s.Exceptions++ })
		return failure{bad: e.Error(), noAnswer: e.FromGateway()}
	case errors.Is(err, errStale):
		m.d.monitor.unit(unit, func(s *UnitStatus) { s.BadAnswers++ })
		return failure{bad: "late answer", noAnswer: true, stale: true}
	case errors.Is(err, errGarbled), errors.Is(err, modbus.ErrAnswer):
		m.d.monitor.unit(unit, func(s *UnitStatus) { s.BadAnswers++ })
		return failure{bad: "bad answer", noAnswer: true}
	case errors.Is(err, ErrNoAnswer):
		m.d.monitor.unit(unit, func(s *UnitStatus) { s.Timeouts++ })
		return failure{bad: "timeout", noAnswer: true}
	case errors.Is(err, ErrExpired), errors.Is(err, ErrStuck):
		return failure{bad: err.Error()}
	}
	return failure{fatal: err}
}

// poll reads the blocks that a job names, of one group of one unit, and hands over their values. It ends at the first block
// without an answer: the unit is on cooldown then, and the remaining blocks come later.
func (m *master) poll(ctx context.Context, j modbus.Job) error {
	u := m.b.units[j.Unit]
	p := m.planPoll(&j, time.Now())
	g := &u.groups[j.Group]
	asked, unanswered := false, false
	for ; len(p.todo) > 0 && !unanswered; asked = true {
		if asked {
			if m.d.holder.Load() != nil {
				return nil // a console has the bus: half a poll says nothing
			}
			m.admit()
			if c := m.ready(time.Now()); c != nil { // between two requests
				if err := m.advance(ctx, c); err != nil {
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
		case f.stale: // it stays in todo, until after the cooldown
			p.why = f.bad
			continue
		case ok && (f.bad == modbus.IllegalDataAddress.Error() || f.bad == modbus.IllegalDataValue.Error()):
			p.todo = append(g.split(b, parts), p.todo[1:]...)
			continue
		}
		p.todo = p.todo[1:]
		if unanswered = f.noAnswer; unanswered {
			m.blockUnanswered(j, &p, b, f.bad)
			continue
		}
		b.unanswered, b.last = 0, time.Time{}
		p.add(b.Block, data, f.bad, at)
	}
	m.d.monitor.unit(j.Unit, func(s *UnitStatus) { s.Polls++ })
	if !unanswered {
		m.pollDone(j, p.todo)
	}
	if p.why == "" && u.hasApart() {
		p.why = "some of its registers are not answered"
	}
	if m.showState(j.Unit, p.why); p.at.IsZero() {
		p.at = p.began
	}
	m.deliver(u, p)
	return nil
}

// pollResult is what one poll has read, and what it still has to read.
type pollResult struct {
	regs     []modbus.Register
	todo     []*pollBlock
	readings []modbus.Reading
	began    time.Time
	at       time.Time // of the first byte
	why      string
}

// planPoll chooses the blocks of a job. A block without an answer goes last the next time: it must not keep the others from
// being read.
func (m *master) planPoll(j *modbus.Job, now time.Time) pollResult {
	u := m.b.units[j.Unit]
	if now.Sub(u.planned) >= planAgain && m.b.schedule.State(j.Unit) == modbus.Live {
		m.b.replan(j.Unit, now)
		j.Part = modbus.Due
	}
	g := &u.groups[j.Group]
	p := pollResult{regs: u.Registers, began: now}
	switch {
	case j.Part == modbus.Apart && len(g.apart) > 0: // back into the rhythm, if it answers
		p.todo = []*pollBlock{g.apart[0]}
		g.blocks, g.apart = append(g.blocks, g.apart[0]), g.apart[1:]
	case j.Part == modbus.Remaining && len(g.remaining) > 0:
		p.todo, g.remaining = g.remaining, nil
	default:
		g.began, g.remaining = now, nil
		p.todo = slices.Clone(g.blocks)
		sort.SliceStable(p.todo, func(i, j int) bool { return p.todo[i].last.Before(p.todo[j].last) })
	}
	return p
}

// pollDone is called after a poll in which every request was answered; left are the blocks that it could not ask for.
func (m *master) pollDone(j modbus.Job, left []*pollBlock) {
	now, g := time.Now(), &m.b.units[j.Unit].groups[j.Group]
	m.b.schedule.Answered(j, len(left) > 0, now)
	if j.Part != modbus.Apart {
		g.remaining = left
	} else if len(g.apart) > 0 {
		m.b.schedule.SetApart(j.Unit, j.Group, now)
	}
}

// blockUnanswered is called when a block was not answered, which ends the poll.
func (m *master) blockUnanswered(j modbus.Job, p *pollResult, b *pollBlock, why string) {
	now, u := time.Now(), m.b.units[j.Unit]
	g, was := &u.groups[j.Group], m.b.schedule.State(j.Unit)
	if b.last, p.why = now, why; was == modbus.Live {
		if b.unanswered++; b.unanswered == 1 {
			b.since = g.began
		}
	}
	switch m.b.schedule.Unanswered(j, modbus.Unanswered{Times: b.unanswered, Since: b.since, Alone: u.single()}, now) {
	case modbus.TryAgain:
		g.remaining = append(p.todo, b)
	case modbus.GoesApart:
		p.add(b.Block, nil, why, now)
		g.blocks = slices.DeleteFunc(g.blocks, func(x *pollBlock) bool { return x == b })
		apart := []*pollBlock{b}
		if parts, ok := b.Split(u.Registers); ok && j.Part == modbus.Apart { // perhaps only one register of it does not answer
			apart = planned(parts)
		}
		g.apart = append(g.apart, apart...)
		if j.Part != modbus.Apart && len(p.todo) > 0 {
			g.remaining = p.todo
			m.b.schedule.Postpone(j, now)
		}
	case modbus.UnitDead:
		items := g.items
		if was == modbus.Live { // all its registers are bad, whenever they would be read next
			u.plan(m.b.o, now)
			items = u.polledItems()
		}
		p.bad(items, why)
	}
	p.todo = nil
}

// planned makes blocks that were not asked for yet.
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
		g.blocks = append(g.blocks[:i], append(slices.Clone(in), g.blocks[i+1:]...)...)
	}
	return in
}

// polledItems is all registers that are polled.
func (u *busUnit) polledItems() (items []int) {
	for _, g := range u.groups {
		items = append(items, g.items...)
	}
	return items
}

// hasApart is true when some block is apart.
func (u *busUnit) hasApart() bool {
	return slices.ContainsFunc(u.groups, func(g pollGroup) bool { return len(g.apart) > 0 })
}

// bad records why registers have no value.
func (p *pollResult) bad(items []int, why string) {
	for _, i := range items {
		p.readings = append(p.readings, modbus.Reading{Register: i, Bad: why})
	}
}

// add records the values of a block, or why it has none.
func (p *pollResult) add(b modbus.Block, data []byte, bad string, at time.Time) {
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

// deliver hands over what is worth a record, see [modbus.Report].
func (m *master) deliver(u *busUnit, p pollResult) {
	u.lossReported = u.lossReported && len(p.readings) == 0
	m.b.deliver(u, p, m.stats)
}

// showState is called after each poll, and when a unit has answered a command.
func (m *master) showState(i int, why string) {
	states := map[modbus.State]string{modbus.Unknown: UnitUnknown, modbus.Live: UnitLive, modbus.Dead: UnitDead}
	state := states[m.b.schedule.State(i)]
	m.d.monitor.unit(i, func(u *UnitStatus) {
		if u.State != state {
			u.State, u.Since = state, time.Now()
		}
		u.Why = why
	})
}
