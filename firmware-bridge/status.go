package bridge

import (
	"slices"
	"sync"
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
	Port  string // where it was found; before that, what was looked for
	State string // [Opened], [Absent], [Failed]
	Since time.Time
	Why   string // why it is not open

	Read, InFrames, Delimiters, Bad, Pending int64 // bytes in
	Framed, Accepted, Refused                int64 // frames: found, taken by OnFrame, refused by it
	BadFrames                                int64 // stretches of bad bytes
	Written                                  int64 // bytes that the driver took
	Opens                                    int64
	Held                                     bool // a [Hold] has it

	Line     *serialport.LineErrors // nil: not counted (many USB adapters, pseudo-terminals)
	Units    []UnitStatus           // of a Modbus bus, in the order of its options
	IdleWait time.Duration          // on a bus: the longest that a command waited while the bus was idle, see monitor.waited
}

// Status returns the state and the counters.
func (d *Device) Status() Status {
	d.monitor.countLine()
	s := d.monitor.snapshot()
	s.Held = d.holder.Load() != nil
	return s
}

// monitor is what a device shows of itself: its state, its counters and those of its units. Safe for concurrent use.
type monitor struct {
	device string      // immutable, as notify
	notify func(Event) // hears every change of state

	mu       sync.Mutex
	status   Status // without Line and Held
	units    []UnitStatus
	line     lineCounters
	notified bool          // an event was sent
	past     framing.Stats // of the framers of earlier sessions, nothing pending
}

func newMonitor(o *Options, now time.Time) *monitor {
	first := Status{Port: o.Wanted(), State: Absent, Since: now, Why: "not opened yet"}
	return &monitor{device: o.Name, notify: o.Notify, status: first}
}

func (m *monitor) snapshot() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status
	s.Line, s.Units = m.line.sum(), slices.Clone(m.units)
	return s
}

// setState changes the state; only a change is an event.
func (m *monitor) setState(state, why string) {
	m.mu.Lock()
	changed := m.status.State != state || !m.notified
	if changed {
		m.status.Since = time.Now()
	}
	m.status.State, m.status.Why, m.notified = state, why, true
	m.mu.Unlock()
	if changed {
		m.notify(Event{Device: m.device, State: state, Why: why})
	}
}

// portOpened is called when a port was opened.
func (m *monitor) portOpened(path string, port serialport.Port) {
	counter, _ := port.(serialport.ErrorCounter)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Port = path
	m.line.port = counter
}

// opened is called when a port is ready to be written to, before the first byte.
func (m *monitor) opened() {
	m.mu.Lock()
	m.status.Opens++
	m.mu.Unlock()
	m.setState(Opened, "")
}

// framed is called after OnFrame or OnValues has returned.
func (m *monitor) framed(s framing.Stats, refused error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Framed++
	if refused == nil {
		m.status.Accepted++
	} else {
		m.status.Refused++
	}
	m.addLocked(s)
}

// count is called when the framer needs more bytes.
func (m *monitor) count(s framing.Stats) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addLocked(s)
}

// addLocked shows the running session together with those before it.
func (m *monitor) addLocked(s framing.Stats) {
	m.status.Read = m.past.Read + s.Read
	m.status.InFrames = m.past.InFrames + s.InFrames
	m.status.Delimiters = m.past.Delimiters + s.Delimiters
	m.status.Bad = m.past.Bad + s.Bad
	m.status.BadFrames = m.past.BadFrames + s.BadFrames
	m.status.Pending = s.Pending
}

// ended is called when a session is over: the frame that will never be whole is bad.
func (m *monitor) ended(s framing.Stats) {
	if s.Pending > 0 {
		s.Bad += s.Pending
		s.BadFrames++
		s.Pending = 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.addLocked(s)
	m.past.Read, m.past.InFrames, m.past.Delimiters = m.status.Read, m.status.InFrames, m.status.Delimiters
	m.past.Bad, m.past.BadFrames = m.status.Bad, m.status.BadFrames
}

// portClosed is called when the port was closed.
func (m *monitor) portClosed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.line.past, m.line.now, m.line.port = m.line.past.Add(m.line.now), serialport.LineErrors{}, nil
}

// wrote is called after each write to the driver.
func (m *monitor) wrote(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.Written += int64(n)
}

// waited is called when the first byte of a command goes out on a bus, with how long it waited while the bus was idle: without
// the silence that the line needs, and the cooldown of its unit.
func (m *monitor) waited(idle time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status.IdleWait = max(m.status.IdleWait, idle)
}

// unit changes what is shown of a unit. An index beyond our units stands for one that is none of ours, and is not shown.
func (m *monitor) unit(i int, change func(*UnitStatus)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i < len(m.units) {
		change(&m.units[i])
	}
}

// lineCounters adds up the errors of a line over reopens.
type lineCounters struct {
	port  serialport.ErrorCounter // nil: closed, or it counts none
	known bool                    // a port counted some time
	now   serialport.LineErrors   // of this session
	past  serialport.LineErrors   // of those before
}

func (c *lineCounters) sum() *serialport.LineErrors {
	if !c.known {
		return nil
	}
	all := c.past.Add(c.now)
	return &all
}

// countLine asks the port for the errors of its line, without the lock: it is a system call.
func (m *monitor) countLine() {
	m.mu.Lock()
	port := m.line.port
	m.mu.Unlock()
	if port == nil {
		return
	}
	if e, ok := port.LineErrors(); ok {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.line.port == port { // not one that was closed meanwhile
			m.line.now, m.line.known = e, true
		}
	}
}
