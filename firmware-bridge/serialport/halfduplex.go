package serialport

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// DriverEnable switches the driver of a half-duplex line.
type DriverEnable interface {
	Send(on bool) error
	Close() error
}

// HalfDuplex is a [Port] on a half-duplex line. The driver is on from before the first byte until what was written has drained.
type HalfDuplex struct {
	Port
	dir           DriverEnable
	before, after time.Duration
	byRTS         bool
	sending       bool // belongs to the goroutine of Write

	mu     sync.Mutex // of the driver: a Write must not switch it on after Close
	closed bool
}

// NewHalfDuplex puts the switching in front of a port. At first the driver is off.
func NewHalfDuplex(p Port, dir DriverEnable, r RS485) (*HalfDuplex, error) {
	if err := dir.Send(false); err != nil {
		return nil, err
	}
	return &HalfDuplex{Port: p, dir: dir, before: r.Before, after: r.After, byRTS: r.Mode == RS485RTS}, nil
}

// Write implements [Port].
func (d *HalfDuplex) Write(p []byte, until time.Time) (int, error) {
	if !d.sending {
		if err := d.setDriver(true); err != nil {
			return 0, err
		}
		d.sending = true
		time.Sleep(d.before)
	}
	return d.Port.Write(p, until)
}

// Drain implements [Port]. After a deadline the driver stays on: bytes are still leaving, until [Port.Discard].
func (d *HalfDuplex) Drain(until time.Time) error {
	if err := d.Port.Drain(until); err != nil {
		return err
	}
	if !d.sending {
		return nil
	}
	time.Sleep(d.after)
	return d.driverOff()
}

// Discard implements [Port].
func (d *HalfDuplex) Discard() error { return errors.Join(d.Port.Discard(), d.driverOff()) }

func (d *HalfDuplex) driverOff() error {
	d.sending = false
	return d.setDriver(false)
}

func (d *HalfDuplex) setDriver(send bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	return d.dir.Send(send)
}

// Close implements [Port]. The driver is off afterwards, so that the others on the line can send.
func (d *HalfDuplex) Close() error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		_ = d.dir.Send(false)
	}
	d.mu.Unlock()
	return errors.Join(d.Port.Close(), d.dir.Close())
}

// SetLine implements [LineSetter]. RTS cannot be set when it switches the driver, which would stay on.
func (d *HalfDuplex) SetLine(c LineChange) error {
	if d.byRTS && c.RTS != nil {
		return fmt.Errorf("RTS switches the driver of the line: %w", ErrFixedLine)
	}
	if s, ok := d.Port.(LineSetter); ok {
		return s.SetLine(c)
	}
	return ErrFixedLine
}

// LineErrors are those of the port behind it.
func (d *HalfDuplex) LineErrors() (LineErrors, bool) {
	if c, ok := d.Port.(ErrorCounter); ok {
		return c.LineErrors()
	}
	return LineErrors{}, false
}
