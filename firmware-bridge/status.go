package bridge

import (
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// The states of a device.
const (
	Opened = "open"
	Absent = "absent" // no such device now, or not started
	Failed = "error"  // it is there and cannot be used
)

// Event is one change of state of a device. Why is one sentence without a full stop; empty when open.
type Event struct{ Device, State, Why string }

// Status of a device at one moment. Counters since New; Read = InFrames + Delimiters + Bad + Pending and
// Framed = Accepted + Refused, exactly.
type Status struct {
	Port  string // where it was found; before that what was looked for
	State string // [Opened], [Absent], [Failed]
	Since time.Time
	Why   string // why it is not open

	Read, InFrames, Delimiters, Bad, Pending int64 // bytes in
	Framed, Accepted, Refused                int64 // frames: found, taken by OnFrame, not taken
	BadFrames                                int64 // stretches of bad bytes
	Written                                  int64 // bytes that the driver took
	Opens                                    int64
	Held                                     bool // a [Hold] has it

	Line     *serialport.LineErrors // nil: nobody counts them (many USB adapters, pseudo-terminals)
	Units    []UnitStatus           // of a Modbus bus, in the order of its options
	IdleWait time.Duration          // the longest that a command waited there for its first byte while the bus was idle, see waited
}

// Status returns the state and the counters.
func (d *Device) Status() Status {
	d.countLine()
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.status
	s.Line, s.Held = d.lines.sum(), d.holder.Load() != nil
	if d.bus != nil {
		s.Units = slices.Clone(d.bus.status)
	}
	return s
}

// enter changes the state; only a change is told.
func (d *Device) enter(state, why string) {
	d.mu.Lock()
	changed := d.status.State != state || !d.told
	if changed {
		d.status.Since = time.Now()
	}
	d.status.State, d.status.Why, d.told = state, why, true
	d.mu.Unlock()
	if changed {
		d.o.Notify(Event{Device: d.o.Name, State: state, Why: why})
	}
}

// opened is called when a port was opened, before the first byte.
func (d *Device) opened() {
	d.mu.Lock()
	d.status.Opens++
	d.mu.Unlock()
	d.enter(Opened, "")
}

// framed is called after OnFrame has answered.
func (d *Device) framed(s framing.Stats, refused error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.Framed++
	if refused == nil {
		d.status.Accepted++
	} else {
		d.status.Refused++
	}
	d.publish(s)
}

// count is called when the framer needs more.
func (d *Device) count(s framing.Stats) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.publish(s)
}

// publish adds the running session to those before. d.mu is held.
func (d *Device) publish(s framing.Stats) {
	d.status.Read = d.past.Read + s.Read
	d.status.InFrames = d.past.InFrames + s.InFrames
	d.status.Delimiters = d.past.Delimiters + s.Delimiters
	d.status.Bad = d.past.Bad + s.Bad
	d.status.BadFrames = d.past.BadFrames + s.BadFrames
	d.status.Pending = s.Pending
}

// ended is called when the port was lost: the frame that will never be whole is bad.
func (d *Device) ended(s framing.Stats) {
	if s.Pending > 0 {
		s.Bad += s.Pending
		s.BadFrames++
		s.Pending = 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.publish(s)
	d.past.Read, d.past.InFrames, d.past.Delimiters = d.status.Read, d.status.InFrames, d.status.Delimiters
	d.past.Bad, d.past.BadFrames = d.status.Bad, d.status.BadFrames
}

// wrote is called after each write to the driver.
func (d *Device) wrote(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.status.Written += int64(n)
}
