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
	// ErrExpired: its turn came too late; nothing was written, or of several values only those before.
	ErrExpired = errors.New("expired in the write queue")
	// ErrNotOpen: the port is absent, or was lost before its turn came; nothing was written.
	ErrNotOpen = errors.New("port is not open")
	// ErrStuck: the device did not take it in time; it may have got a part.
	ErrStuck = errors.New("the device takes no more bytes")
	// ErrLost: the port was lost on the way; the device may have got all, a part or nothing.
	ErrLost = errors.New("port lost while writing")
	// ErrIsBus: bytes without an address have no meaning on a Modbus bus; nothing was written.
	ErrIsBus = errors.New("a Modbus bus takes values for its units, and requests")
)

// Device keeps one serial port open and moves frames and payloads. Write and Status may be called from anywhere at any time.
type Device struct {
	o       Options // immutable after New
	codec   framing.Framer
	queue   chan pending
	busy    atomic.Bool // Run is running
	locator locator
	bus     *bus // nil: not a Modbus bus

	listening listening
	holder    atomic.Pointer[Hold] // of the console that has the device; nil: none
	line      lineState
	taps      taps

	monitor *monitor
}

// pending is a payload that waits for its turn.
type pending struct {
	data    []byte    // framed
	expires time.Time // zero: never
	queued  time.Time
	done    func(Answer, error)

	asks             bool // it has an answer
	timeout, silence time.Duration

	hold   *Hold                  // whose it is; nil: a command
	change *serialport.LineChange // of a hold, instead of data
	wakes  bool                   // nothing to carry out: a hold has ended

	// of a Modbus bus, instead of data
	query  modbus.Query
	whole  bool // the answer is given with the address
	unit   int  // of writes
	writes []modbus.Write
}

// New checks the options; it opens nothing.
func New(o Options) (*Device, error) {
	if o.Name == "" || o.Port == "" == o.Select.IsZero() {
		return nil, errors.New("a device needs a name, and either a port or what to select it by")
	}
	if o.OnFrame == nil && o.Modbus == nil || o.Modbus != nil && o.OnValues == nil {
		return nil, fmt.Errorf("device %q: nobody takes its frames", o.Name)
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
	d := &Device{o: o, codec: codec, queue: make(chan pending, o.Queue+1)}
	d.line.o = &d.o
	d.locator = locator{o: &d.o, nodeAt: serialport.Identity, every: lookAgain}
	if isFake {
		d.locator.nodeAt = func(string) string { return "" }
	}
	now := time.Now()
	d.monitor = newMonitor(&d.o, now)
	if o.Modbus != nil {
		if d.bus, err = newBus(&o, d.monitor, now); err != nil {
			return nil, fmt.Errorf("device %q: %w", o.Name, err)
		}
		d.monitor.units = d.bus.unknown(now)
	}
	return d, nil
}

// Run opens the port and serves it until ctx ends; whatever happens to the port, it opens it again. It returns ctx.Err(), with
// both goroutines ended and every accepted Write answered. One Run at a time.
func (d *Device) Run(ctx context.Context) error {
	if !d.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("device %q: runs already", d.o.Name)
	}
	defer d.busy.Store(false)
	defer func() { d.leave(Absent, "stopped") }()
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
		d.leave(state, err.Error())
		d.missing(lived, err)
		if d.locator.awaitChange(ctx, again.after(err), identity, changed) {
			again.changed()
		}
	}
	return ctx.Err()
}

// missing is called when a session has ended, or could not begin: the units of a bus are told of when the port is not back at once.
func (d *Device) missing(lived time.Duration, err error) {
	if d.bus == nil {
		return
	}
	if d.bus.torn = errors.Is(err, serialport.ErrAborted); !d.bus.torn && lived < stableAfter {
		d.bus.portLost()
	}
}

// Write frames a payload and queues it. The error comes at once: [ErrBusy], [ErrHeld], [ErrNotOpen], [ErrTooLarge], or another error of
// framing.Framer.Encode; done is never called then. Otherwise done is called exactly once from another goroutine, and must
// not block: nil when all was written and has left the machine, else [ErrExpired], [ErrNotOpen],
// [ErrStuck] or [ErrLost]. A payload whose turn comes after expires is not written; zero: it never expires.
func (d *Device) Write(payload []byte, expires time.Time, done func(error)) error {
	if d.bus != nil {
		return fmt.Errorf("device %q: %w", d.o.Name, ErrIsBus)
	}
	data, err := d.encode(payload)
	if err != nil {
		return err
	}
	return d.enqueue(pending{data: data, expires: expires, done: func(_ Answer, err error) { done(err) }})
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

func (d *Device) enqueue(w pending) error {
	d.monitor.mu.Lock()
	defer d.monitor.mu.Unlock()
	return d.enqueueLocked(w)
}

// enqueueLocked needs the lock of the state, so that nothing is queued after leave has emptied the queue.
func (d *Device) enqueueLocked(w pending) error {
	if s := &d.monitor.status; s.State != Opened {
		return fmt.Errorf("device %q: %w: %s", d.o.Name, ErrNotOpen, s.Why)
	}
	if err := d.held(w); err != nil {
		return err
	}
	w.queued = time.Now()
	if !w.wakes && len(d.queue) >= d.o.Queue {
		return fmt.Errorf("device %q: %w (%d waiting)", d.o.Name, ErrBusy, d.o.Queue)
	}
	select {
	case d.queue <- w:
	default: // there is room for one that wakes beyond the others, and two do no more than one
	}
	return nil
}

// leave gives up what only an open port has: the queue is answered, and a change of state is told.
func (d *Device) leave(state, why string) {
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
