package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// Why a write failed. Wrapped, with the device and the detail.
var (
	// ErrBusy: the queue is full; nothing was written.
	ErrBusy = errors.New("write queue is full")
	// ErrTooLarge: longer than a frame of the device may be; nothing was written.
	ErrTooLarge = errors.New("payload too large")
	// ErrExpired: its turn came too late; nothing was written, or of several values only the first ones.
	ErrExpired = errors.New("expired in the write queue")
	// ErrNotOpen: the port is absent, or was lost before the turn of the write came; nothing was written.
	ErrNotOpen = errors.New("port is not open")
	// ErrStuck: the device did not take all bytes in time; it may have got some of them.
	ErrStuck = errors.New("the device takes no more bytes")
	// ErrLost: the port was lost during the write; the device may have got all bytes, some or none.
	ErrLost = errors.New("port lost while writing")
	// ErrIsBus: bytes without an address have no meaning on a Modbus bus; nothing was written.
	ErrIsBus = errors.New("a Modbus bus takes values for its units, and requests")
)

// Device keeps one serial port open and moves frames and payloads. Write and Status may be called from anywhere at any time.
type Device struct {
	o       Options // immutable after New
	codec   framing.Framer
	queue   chan writeReq
	running atomic.Bool // Run is running
	bus     *bus        // nil: not a Modbus bus

	locator   locator
	monitor   *monitor
	listening listening
	holder    atomic.Pointer[Hold] // of the console that has the device; nil: none
	line      lineState
	taps      taps
}

// writeReq is what waits in the queue of the writer: a payload, a request, what a hold wants, or values for a unit of a bus.
type writeReq struct {
	data    []byte    // framed
	expires time.Time // zero: never
	queued  time.Time
	done    func(Answer, error)

	isRequest        bool // it has an answer
	timeout, silence time.Duration

	hold     *Hold                  // whose it is; nil: a command
	change   *serialport.LineChange // of a hold, instead of data
	wakeOnly bool                   // nothing to carry out: a hold has ended

	// of a Modbus bus, instead of data
	query       modbus.Query
	withAddress bool // the answer is given with the address
	unit        int  // of writes
	writes      []modbus.Write
}

// New checks the options and makes a device. It opens nothing.
func New(o Options) (*Device, error) {
	if o.Name == "" || o.Port == "" == o.Select.IsZero() {
		return nil, errors.New("a device needs a name, and either a port or what to select it by")
	}
	if o.OnFrame == nil && o.Modbus == nil || o.Modbus != nil && o.OnValues == nil {
		return nil, fmt.Errorf("device %q: OnFrame is missing, or OnValues of a bus", o.Name)
	}
	isFake := o.Open != nil
	o.fill()
	if _, err := serialport.ParseMode(o.Mode.String()); err != nil {
		return nil, fmt.Errorf("device %q: %w", o.Name, err)
	}
	if o.Baud < 0 || o.Queue < 0 || o.WriteTimeout < 0 {
		return nil, fmt.Errorf("device %q: negative baud, queue or write timeout", o.Name)
	}
	if err := o.line().Check(o.Port); err != nil {
		return nil, fmt.Errorf("device %q: %w", o.Name, err)
	}
	codec, err := framing.New(o.Framing)
	if err != nil {
		return nil, fmt.Errorf("device %q: %w", o.Name, err)
	}
	d := &Device{o: o, codec: codec, queue: make(chan writeReq, o.Queue+1)}
	d.line.o = &d.o
	d.locator = locator{o: &d.o, nodeAt: serialport.Identity, every: lookAgain}
	if isFake {
		d.locator.nodeAt = func(string) string { return "" }
	}
	now := time.Now()
	d.listening.start = now
	d.monitor = newMonitor(&d.o, now)
	if o.Modbus != nil {
		if d.bus, err = newBus(&o, d.monitor, now); err != nil {
			return nil, fmt.Errorf("device %q: %w", o.Name, err)
		}
		d.monitor.units = d.bus.unknown(now)
	}
	return d, nil
}

// Run opens the port and serves it until ctx ends; whatever happens to the port, it is opened again. Run returns ctx.Err(), and
// then both goroutines have ended and every accepted Write is answered. One Run at a time.
func (d *Device) Run(ctx context.Context) error {
	if !d.running.CompareAndSwap(false, true) {
		return fmt.Errorf("device %q: runs already", d.o.Name)
	}
	defer d.running.Store(false)
	defer func() { d.closeQueue(Absent, "stopped") }()
	var again retry
	for ctx.Err() == nil {
		identity := d.locator.identity()
		changed, _ := d.o.Finder.Changes()
		lived, err := d.openAndServe(ctx)
		again.served(lived)
		if ctx.Err() != nil {
			break
		}
		state := Failed
		if errors.Is(err, serialport.ErrAbsent) || errors.Is(err, serialport.ErrGone) {
			state = Absent
		}
		d.closeQueue(state, err.Error())
		d.afterSession(lived, err)
		if d.locator.awaitChange(ctx, again.after(err), identity, changed) {
			again.changed()
		}
	}
	return ctx.Err()
}

// afterSession is called when a session has ended, or could not begin. Unless the port comes back at once, the units of its bus
// are reported as lost.
func (d *Device) afterSession(lived time.Duration, err error) {
	if d.bus == nil {
		return
	}
	if d.bus.aborted = errors.Is(err, serialport.ErrAborted); !d.bus.aborted && lived < stableAfter {
		d.bus.reportPortLost()
	}
}

// Write frames a payload and queues it. If it cannot be queued, the error comes at once: [ErrBusy], [ErrHeld], [ErrNotOpen],
// [ErrTooLarge], or another error of framing.Framer.Encode; then done is never called. Otherwise done is called exactly once,
// from another goroutine, and must not block: with nil when all was written and has left the machine, else with [ErrExpired],
// [ErrNotOpen], [ErrStuck] or [ErrLost]. A payload whose turn comes after expires is not written; zero: it never expires.
func (d *Device) Write(payload []byte, expires time.Time, done func(error)) error {
	if d.bus != nil {
		return fmt.Errorf("device %q: %w", d.o.Name, ErrIsBus)
	}
	data, err := d.encode(payload)
	if err != nil {
		return err
	}
	return d.enqueue(writeReq{data: data, expires: expires, done: func(_ Answer, err error) { done(err) }})
}

// encode frames a payload.
func (d *Device) encode(payload []byte) ([]byte, error) {
	data, err := d.codec.Encode(nil, payload)
	if errors.Is(err, framing.ErrTooLong) {
		return nil, fmt.Errorf("device %q: %w: %w", d.o.Name, ErrTooLarge, err)
	}
	if err != nil {
		return nil, fmt.Errorf("device %q: %w", d.o.Name, err)
	}
	return data, nil
}

func (d *Device) enqueue(w writeReq) error {
	d.monitor.mu.Lock()
	defer d.monitor.mu.Unlock()
	return d.enqueueLocked(w)
}

// enqueueLocked needs the lock of the state, so that nothing is queued after closeQueue has emptied the queue.
func (d *Device) enqueueLocked(w writeReq) error {
	if s := &d.monitor.status; s.State != Opened {
		return fmt.Errorf("device %q: %w: %s", d.o.Name, ErrNotOpen, s.Why)
	}
	if err := d.held(w); err != nil {
		return err
	}
	w.queued = time.Now()
	if !w.wakeOnly && len(d.queue) >= d.o.Queue {
		return fmt.Errorf("device %q: %w (%d waiting)", d.o.Name, ErrBusy, d.o.Queue)
	}
	select {
	case d.queue <- w:
	default: // the queue has one place more than o.Queue, for one that wakes the writer; a second one would do nothing
	}
	return nil
}

// closeQueue is called when the port is not open any more: the state changes, and all that waits in the queue is answered.
func (d *Device) closeQueue(state, why string) {
	d.monitor.setState(state, why)
	for {
		select {
		case w := <-d.queue:
			w.done(Answer{}, fmt.Errorf("device %q: %w: %s", d.o.Name, ErrNotOpen, why))
		default:
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) { discover.Wait(ctx, d, nil) }
