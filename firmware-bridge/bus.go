package bridge

import (
	"errors"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// Our own choices for a Modbus bus whose options say nothing.
const (
	defaultAnswer     = 300 * time.Millisecond
	defaultBackoffMin = 500 * time.Millisecond
	defaultBackoffMax = time.Minute
	tryMargin         = 25 * time.Millisecond // what timers and a busy machine add to a try
	tryBytes          = 30                    // its request, and the silence before it, in characters
	planAgain         = time.Hour             // a unit that refused some registers may not refuse them any more
	cooldownMost      = 4                     // timeouts, however long the request has waited
)

// ErrNoUnit: the bus does not have that unit or register.
var ErrNoUnit = errors.New("no such unit or register")

// ModbusOptions make a device the master of a Modbus bus.
type ModbusOptions struct {
	Protocol   modbus.Protocol // if empty, then RTU
	Timeout    time.Duration   // for an answer to begin; if zero, then 300 ms
	Retries    int
	Turnaround time.Duration // silence before a request, beside that of the standard
	BackoffMin time.Duration // of a dead unit; if zero, then 0.5 s
	BackoffMax time.Duration // if zero, then 60 s
	MaxBlock   int           // 16-bit registers in one read; if zero, then 125
	Gap        int           // at most so many registers between two wanted ones are read as well
	Units      []ModbusUnit
}

// ModbusUnit is one slave.
type ModbusUnit struct {
	Name       string
	Address    byte
	Registers  []modbus.Register
	OnChange   bool          // only what changed is reported
	MaxSilence time.Duration // and what was not reported for so long; 0: never
}

// Reading is one value of a unit, or why there is none.
type Reading struct {
	Name  string
	Unit  string // of measure
	Value modbus.Value
	Bad   string // "timeout", "bad answer", "not a number", "port lost", or the name of an exception; empty: there is a value
}

// Values is what one poll of a unit brought.
type Values struct {
	Unit     string
	Time     time.Time // when the first byte of the answer was read
	Readings []Reading // valid until the callback returns
}

// The states of a unit.
const (
	UnitUnknown = "unknown" // not asked yet
	UnitLive    = "live"
	UnitDead    = "dead" // it does not answer, and is asked less and less often
)

// UnitStatus of one unit at one moment. Counters since New.
type UnitStatus struct {
	Name       string
	State      string
	Since      time.Time
	Polls      int64
	Timeouts   int64 // requests without an answer
	BadAnswers int64 // requests whose answer was garbled, or may belong to an earlier one
	Exceptions int64
	Why        string // the last fault; empty when all is well
}

func (o *ModbusOptions) fill() {
	if o.Protocol == "" {
		o.Protocol = modbus.RTU
	}
	if o.Timeout == 0 {
		o.Timeout = defaultAnswer
	}
	if o.BackoffMin == 0 {
		o.BackoffMin = defaultBackoffMin
	}
	if o.BackoffMax == 0 {
		o.BackoffMax = defaultBackoffMax
	}
	if o.MaxBlock == 0 {
		o.MaxBlock = modbus.MaxWords
	}
}

// bus is what is known of the units, over all sessions of the port. During a session it belongs to the goroutine of the master,
// between two sessions to that of Run.
type bus struct {
	o        ModbusOptions
	onValues func(Values) error
	monitor  *monitor
	schedule *modbus.Schedule
	stale    []modbus.Stale // by unit, as in the schedule
	units    []*busUnit
	aborted  bool           // we ended the last session, after a write without an answer: the units were there all the time
	byName   map[string]int // immutable
}

type busUnit struct {
	ModbusUnit
	groups       []pollGroup
	report       *modbus.Report
	planned      time.Time
	lossReported bool // the last that was reported is that the port is lost
}

// pollGroup is the registers of a unit with one period.
type pollGroup struct {
	every time.Duration
	items []int

	began     time.Time    // the last poll
	blocks    []*pollBlock // read together
	remaining []*pollBlock // of the last poll: the unit was on cooldown
	apart     []*pollBlock // not answered while others of the unit are; the first is tried next
}

// pollBlock is one read, and how it went.
type pollBlock struct {
	modbus.Block
	unanswered int       // times in a row while the unit was live
	since      time.Time // when the poll began in which the first of them was
	last       time.Time // the last of them; zero: it was answered since
}

func newBus(device *Options, monitor *monitor, now time.Time) (*bus, error) {
	o := *device.Modbus
	o.fill()
	b := &bus{o: o, onValues: device.OnValues, monitor: monitor, byName: map[string]int{}}
	var periods [][]time.Duration
	for i, u := range o.Units {
		if _, twice := b.byName[u.Name]; twice || u.Name == "" {
			return nil, fmt.Errorf("unit %q: a name of its own is needed", u.Name)
		}
		b.byName[u.Name] = i
		unit := &busUnit{ModbusUnit: u, report: modbus.NewReport(u.Registers, u.OnChange, u.MaxSilence)}
		for r, reg := range u.Registers {
			if err := reg.Check(); err != nil {
				return nil, fmt.Errorf("unit %q: register %q: %w", u.Name, reg.Name, err)
			}
			if reg.Every <= 0 {
				continue // written, and read only when a command asks for it
			}
			unit.add(r, reg.Every)
		}
		var every []time.Duration
		for _, g := range unit.groups {
			every = append(every, g.every)
		}
		unit.plan(o, now)
		periods = append(periods, every)
		b.units = append(b.units, unit)
	}
	times := modbus.ScheduleOptions{Timeout: o.Timeout, Retries: o.Retries, BackoffMin: o.BackoffMin, BackoffMax: o.BackoffMax,
		Margin: tryMargin + tryBytes*device.Framing.CharTime + o.Turnaround}
	periods = append(periods, nil) // stands for all addresses that are not our units'
	b.schedule = modbus.NewSchedule(times, now, periods)
	b.stale = make([]modbus.Stale, len(periods))
	return b, nil
}

// unknown is what is shown of the units before the first of them was asked.
func (b *bus) unknown(now time.Time) (units []UnitStatus) {
	for _, u := range b.units {
		units = append(units, UnitStatus{Name: u.Name, State: UnitUnknown, Since: now})
	}
	return units
}

// plan plans the reads of a unit, and forgets what it refused or did not answer.
func (u *busUnit) plan(o ModbusOptions, now time.Time) {
	u.planned = now
	for g := range u.groups {
		group := &u.groups[g]
		group.blocks, group.remaining, group.apart = nil, nil, nil
		for _, b := range modbus.Plan(u.Registers, group.items, o.MaxBlock, o.Gap) {
			group.blocks = append(group.blocks, &pollBlock{Block: b})
		}
	}
}

// replan plans the reads of a unit again, and resets its schedule.
func (b *bus) replan(unit int, now time.Time) {
	b.units[unit].plan(b.o, now)
	b.schedule.Reset(unit)
}

// single is true when the unit is read by one request.
func (u *busUnit) single() bool {
	n := 0
	for _, g := range u.groups {
		n += len(g.blocks) + len(g.apart)
	}
	return n < 2
}

// index of the unit with an address; len(b.units) for every other address.
func (b *bus) index(address byte) int {
	for i, u := range b.units {
		if u.Address == address {
			return i
		}
	}
	return len(b.units)
}

// cooldownUntil is until when a unit may still answer what it was asked, and did not answer until now.
func (b *bus) cooldownUntil(asked, now time.Time, timeout time.Duration) time.Time {
	return latest(now, asked.Add(b.o.Timeout)).Add(min(max(timeout, b.o.Timeout), cooldownMost*b.o.Timeout))
}

func (u *busUnit) add(register int, every time.Duration) {
	for g := range u.groups {
		if u.groups[g].every == every {
			u.groups[g].items = append(u.groups[g].items, register)
			return
		}
	}
	u.groups = append(u.groups, pollGroup{every: every, items: []int{register}})
}

// query is the request that a caller wants to make.
func (b *bus) query(r Request) (modbus.Query, error) {
	q := modbus.Query{PDU: r.Payload}
	if r.Unit != "" {
		i, ok := b.byName[r.Unit]
		if !ok {
			return q, fmt.Errorf("unit %q: %w", r.Unit, ErrNoUnit)
		}
		q.Unit = b.units[i].Address
	} else if len(q.PDU) > 0 {
		q.Unit, q.PDU = q.PDU[0], q.PDU[1:]
	}
	switch {
	case len(q.PDU) == 0:
		return q, fmt.Errorf("a request has at least a function code: %w", modbus.ErrValue)
	case len(q.PDU) > modbus.MaxPDU:
		return q, fmt.Errorf("%w: %d bytes, a Modbus request has at most %d", ErrTooLarge, len(q.PDU), modbus.MaxPDU)
	case q.PDU[0]&modbus.ExceptionFlag != 0:
		return q, fmt.Errorf("function 0x%02x is that of an exception: %w", q.PDU[0], modbus.ErrValue)
	case q.Unit == 0 && b.o.Protocol != modbus.TCP:
		return q, fmt.Errorf("unit 0 is a broadcast, which nobody answers: %w", modbus.ErrValue)
	}
	return q, nil
}

// deliver hands over what of a poll is worth a record.
func (b *bus) deliver(u *busUnit, p pollResult, stats framing.Stats) {
	chosen := u.report.Select(p.readings, time.Now())
	if len(chosen) == 0 {
		return
	}
	v := Values{Unit: u.Name, Time: p.at}
	for _, x := range chosen {
		r := u.Registers[x.Register]
		v.Readings = append(v.Readings, Reading{Name: r.Name, Unit: r.Unit, Value: x.Value, Bad: x.Bad})
	}
	err := b.onValues(v)
	if err != nil {
		u.report.Forget(chosen)
	}
	b.monitor.framed(stats, err)
}

// portLost is why there are no values of a bus whose port is gone.
const portLost = "port lost"

// reportPortLost reports of each unit, once until it answers again, that its port is lost. It is called between two sessions.
func (b *bus) reportPortLost() {
	for _, u := range b.units {
		if !u.lossReported {
			p := pollResult{at: time.Now()}
			p.bad(u.polledItems(), portLost)
			b.deliver(u, p, framing.Stats{})
		}
		u.lossReported = true
	}
}

// Set writes values, each in JSON, to the registers of a unit: one after the other, in the order of their addresses, each at
// most once and none after expires. Then it reads back what was written. Polls that are due come in between. If one of the
// values cannot be written, the error comes at once and none is. Otherwise done gets the error: one of [Device.Request], a
// modbus.Exception, or [ErrReadBack]. The Answer says in any case what was read back.
func (d *Device) Set(unit string, values map[string]string, expires time.Time, done func(Answer, error)) error {
	writes, err := d.Writes(unit, values)
	if err != nil {
		return err
	}
	return d.enqueue(writeReq{expires: expires, done: done, unit: d.bus.byName[unit], writes: writes})
}

// Writes is what Set would write, or says why it would not.
func (d *Device) Writes(unit string, values map[string]string) ([]modbus.Write, error) {
	if d.bus == nil {
		return nil, fmt.Errorf("device %q is no Modbus bus: %w", d.o.Name, ErrNoUnit)
	}
	i, ok := d.bus.byName[unit]
	if !ok {
		return nil, fmt.Errorf("device %q: unit %q: %w", d.o.Name, unit, ErrNoUnit)
	}
	var writes []modbus.Write
	known := 0
	for _, r := range d.bus.units[i].Registers { // in the order of the options
		text, wanted := values[r.Name]
		if !wanted {
			continue
		}
		known++
		w, err := r.NewWrite(text)
		if err != nil {
			return nil, fmt.Errorf("unit %q: %w", unit, err)
		}
		writes = append(writes, w)
	}
	if known < len(values) || known == 0 {
		return nil, fmt.Errorf("unit %q: %d of the values: %w", unit, len(values)-known, ErrNoUnit)
	}
	return writes, nil
}
