package agent

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/console"
	"github.com/linkbeat/linkbeat/agent/downlink"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// deviceOptions is what the agent needs to know of one serial device. Comparable by reflect.DeepEqual: a device whose options
// did not change goes on over a reload.
type deviceOptions struct {
	bridge   bridge.Options // without the funcs, which devices fills in
	encoding wire.Encoding
	format   wire.Format
	commands bool
	console  bool
	limits   downlink.Limits
	high     bool // priority
}

// devices runs the serial devices and feeds their frames to the spool. Safe for concurrent use.
type devices struct {
	spool    *spool.Spool
	high     *spool.Spool
	clock    clock.Clock
	log      zerolog.Logger
	floods   *flood.Log
	liveness *supervise.Liveness
	finder   *discover.Finder

	changing sync.Mutex // held while devices start and stop, never by who only looks

	mu         sync.Mutex
	ctx        context.Context // of run; nil before it
	configured map[string]deviceOptions
	disabled   map[string]string // by name: the fault of its configuration
	running    map[string]*runningDevice
	past       map[string]statuspage.Serial // by name: the counters of devices that ended, which go on
}

// Lines that are told one by one in a minute: of a port that comes and goes, and of taps on this machine.
const (
	portEventsFirst = 10
	tapsFirst       = 10
)

// deviceStop is how long a device may take to let go of its port.
const deviceStop = 10 * time.Second

func newDevices(s, high *spool.Spool, c clock.Clock, log zerolog.Logger, p *supervise.Liveness,
	past map[string]statuspage.Serial) *devices {
	if past == nil {
		past = map[string]statuspage.Serial{}
	}
	return &devices{spool: s, high: high, clock: c, log: log, floods: flood.NewLog(log), liveness: p,
		finder: discover.NewFinder(discover.FinderOptions{}), running: map[string]*runningDevice{}, past: past}
}

type runningDevice struct {
	options deviceOptions
	device  *bridge.Device
	rate    *downlink.Rate
	notUTF8 atomic.Int64
	fault   string // why there is no device
	since   time.Time
	cancel  context.CancelFunc
	ended   chan struct{}
}

// run keeps the configured devices running until ctx is done, and returns when the last of their frames is in the spool.
func (d *devices) run(ctx context.Context) error {
	defer d.floods.Flush()
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		if err := d.finder.Run(ctx); ctx.Err() == nil {
			d.log.Info().Err(err).Msg("no uevents: scanning for ports every 500 ms")
		}
	}()
	defer func() { <-heard }()
	d.changing.Lock()
	d.mu.Lock()
	d.ctx = ctx
	d.mu.Unlock()
	d.reconcile()
	d.changing.Unlock()
	<-ctx.Done()
	d.changing.Lock()
	defer d.changing.Unlock()
	d.stop(slices.Collect(maps.Values(d.running))) // only changes write it, and they are locked out
	return nil
}

// configure replaces the set of devices; those that did not change go on. It returns when the others have stopped.
func (d *devices) configure(options map[string]deviceOptions, disabled map[string]string) {
	d.changing.Lock()
	defer d.changing.Unlock()
	d.mu.Lock()
	d.configured, d.disabled = options, disabled
	running := d.ctx != nil && d.ctx.Err() == nil
	d.mu.Unlock()
	if running {
		d.reconcile()
	}
}

// reconcile stops what is no longer configured so and starts what is missing; d.changing is held. It waits without d.mu: a device
// that stops calls the downlink, which may be looking for a device.
func (d *devices) reconcile() {
	var stale []*runningDevice
	d.mu.Lock()
	for name, r := range d.running {
		if w, ok := d.configured[name]; !ok || !reflect.DeepEqual(w, r.options) {
			stale = append(stale, r)
			delete(d.running, name)
		}
	}
	d.mu.Unlock()
	d.stop(stale)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range stale {
		d.past[r.options.bridge.Name] = gone(d.whole(r.options.bridge.Name, r))
	}
	for _, name := range slices.Sorted(maps.Keys(d.configured)) {
		if d.running[name] == nil {
			d.running[name] = d.start(d.configured[name])
		}
	}
}

func (d *devices) start(o deviceOptions) *runningDevice {
	ctx, cancel := context.WithCancel(d.ctx)
	r := &runningDevice{options: o, rate: downlink.NewRate(o.limits), since: time.Now(), cancel: cancel,
		ended: make(chan struct{})}
	b := o.bridge
	b.Finder = d.finder
	loop := d.liveness.Loop("serial device " + b.Name)
	var buf []byte // of the reader goroutine
	sp := d.spool
	if o.high {
		sp = d.high
	}
	b.OnFrame = func(f bridge.Frame) error {
		loop.Begin()
		defer loop.End()
		if o.encoding == wire.Text && !utf8.Valid(f.Data) {
			r.notUTF8.Add(1)
		}
		buf = record.Stored{Stamp: d.clock.StampAt(f.Time), Format: o.format, Encoding: o.encoding, Data: f.Data}.Append(buf[:0])
		_, err := sp.Append(f.Device, buf)
		return err
	}
	b.OnValues = func(v bridge.Values) (err error) {
		loop.Begin()
		defer loop.End()
		if buf, err = record.AppendValues(buf[:0], record.Stored{Stamp: d.clock.StampAt(v.Time), Format: o.format},
			v.Readings); err == nil {
			_, err = sp.Append(v.Unit, buf)
		}
		return err
	}
	b.Notify = func(e bridge.Event) {
		line := d.floods.Line(zerolog.InfoLevel, "serial port of "+e.Device, portEventsFirst)
		supervise.Str(line.Str("device", e.Device).Str("state", e.State), "why", e.Why).Msg("serial port " + e.State)
	}
	device, err := bridge.New(b)
	if err != nil {
		d.log.Error().Str("device", b.Name).Err(err).Msg("serial device cannot be used")
		r.fault = err.Error()
		loop.Gone()
		close(r.ended)
		return r
	}
	r.device = device
	go func() {
		defer close(r.ended)
		defer loop.Gone()
		if err := device.Run(ctx); err != nil && ctx.Err() == nil {
			d.log.Error().Str("device", b.Name).Err(err).Msg("serial device stopped")
		}
	}()
	return r
}

// stop stops devices, all at once, and waits until they have let go of their ports. One that does not is abandoned: the next
// device on its port then reports that the port is in use.
func (d *devices) stop(all []*runningDevice) {
	timer := time.NewTimer(deviceStop)
	defer timer.Stop()
	for _, r := range all {
		r.cancel()
	}
	for _, r := range all {
		select {
		case <-r.ended:
		case <-timer.C:
			d.log.Error().Str("device", r.options.bridge.Name).Dur("waited", deviceStop).
				Msg("serial device did not release its port")
			timer.Reset(0)
		}
	}
}

// target finds the device, or the unit of a bus, that a command is for.
func (d *devices) target(name string) (downlink.Target, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.running[name]; r != nil {
		return r.target(bridge.ModbusUnit{}), true
	}
	for _, r := range d.running {
		if r.options.bridge.Modbus == nil {
			continue
		}
		for _, u := range r.options.bridge.Modbus.Units {
			if u.Name == name {
				return r.target(u), true
			}
		}
	}
	return downlink.Target{}, false
}

// port finds the device that a console is for.
func (d *devices) port(name string) (console.Port, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.running[name]
	if r == nil {
		return console.Port{}, false
	}
	return console.Port{Device: r.device, Allowed: r.options.console}, true
}

// tap shows what goes over the port of a device as text, to somebody on this machine.
// gone is closed when the device is stopped: one that is configured anew is another one.
func (d *devices) tap(name string, emit func(text []byte)) (stop func(), gone <-chan struct{}, ok bool) {
	d.mu.Lock()
	r := d.running[name]
	d.mu.Unlock()
	if r == nil || r.device == nil {
		return nil, nil, false
	}
	const started, ended = "local tap session started", "local tap session ended"
	d.floods.Line(zerolog.InfoLevel, started, tapsFirst).Str("device", name).Msg(started)
	untap := r.device.Tap(func(t bridge.Traffic) { emit(wire.AppendDump(nil, t.Time, t.Out, t.Data)) })
	return func() {
		untap()
		d.floods.Line(zerolog.InfoLevel, ended, tapsFirst).Str("device", name).Msg(ended)
	}, r.ended, true
}

func (r *runningDevice) target(u bridge.ModbusUnit) downlink.Target {
	t := downlink.Target{Commands: r.options.commands, Limits: r.options.limits, Rate: r.rate, Encoding: r.options.encoding,
		Unit: u.Name, Write: func([]byte, time.Time, func(error)) error { return bridge.ErrNotOpen }}
	if r.device == nil {
		return t
	}
	t.Write, t.Request = r.device.Write, r.device.Request
	if u.Name != "" {
		t.Address = []byte{u.Address}
		t.Fits = func(values map[string]string) (longest int, err error) {
			writes, err := r.device.Writes(u.Name, values)
			for _, w := range writes {
				longest = max(longest, len(t.Address)+len(w.PDU(nil)))
			}
			return longest, err
		}
		t.Set = func(values map[string]string, expires time.Time, done func(bridge.Answer, error)) error {
			return r.device.Set(u.Name, values, expires, done)
		}
	}
	return t
}

// status is how every configured device is.
func (d *devices) status() map[string]statuspage.Serial {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]statuspage.Serial{}
	for name, why := range d.disabled {
		all[name] = statuspage.Serial{State: "disabled", Why: why}
	}
	for name, r := range d.running {
		all[name] = d.whole(name, r)
	}
	return all
}

// whole is the status of a device with what it counted before it was changed; d.mu is held.
func (d *devices) whole(name string, r *runningDevice) statuspage.Serial {
	s := r.status()
	s.Add(d.past[name])
	return s
}

// ended are the counters of all devices, none of which runs any more.
func (d *devices) ended() map[string]statuspage.Serial {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := maps.Clone(d.past)
	for name, r := range d.running {
		all[name] = gone(d.whole(name, r))
	}
	return all
}

func (r *runningDevice) status() statuspage.Serial {
	if r.device == nil {
		return statuspage.Serial{Port: r.options.bridge.Wanted(), State: "error", Since: r.since.UnixMilli(), Why: r.fault}
	}
	s := r.device.Status()
	return statuspage.Serial{Units: unitsStatus(s.Units), IdleWaitS: s.IdleWait.Seconds(), LineErrors: lineErrorsOf(s.Line),
		Port: s.Port, State: s.State, Since: s.Since.UnixMilli(), Why: s.Why, Opens: s.Opens,
		Read: s.Read, InFrames: s.InFrames, Delimiters: s.Delimiters, Bad: s.Bad, BadFrames: s.BadFrames,
		Pending: s.Pending, Console: s.Held, Framed: s.Framed, Accepted: s.Accepted, Refused: s.Refused, Written: s.Written,
		NotUTF8: r.notUTF8.Load()}
}

func lineErrorsOf(e *serialport.LineErrors) *statuspage.LineErrors {
	if e == nil {
		return nil
	}
	return &statuspage.LineErrors{Framing: e.Framing, Overrun: e.Overrun, Parity: e.Parity, Break: e.Break, Buffer: e.Buffer}
}

func unitsStatus(units []bridge.UnitStatus) map[string]statuspage.Unit {
	var all map[string]statuspage.Unit
	for _, u := range units {
		if all == nil {
			all = map[string]statuspage.Unit{}
		}
		all[u.Name] = statuspage.Unit{State: u.State, Since: u.Since.UnixMilli(), Polls: u.Polls, Timeouts: u.Timeouts,
			BadAnswers: u.BadAnswers, Exceptions: u.Exceptions, Why: u.Why}
	}
	return all
}
