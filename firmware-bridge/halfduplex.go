package bridge

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// director switches the driver of a half-duplex line.
type director interface {
	Send(on bool) error
	Close() error
}

// directed is a [Port] on a half-duplex line: the driver is on from before the first byte until what was written has drained.
type directed struct {
	Port
	dir           director
	before, after time.Duration
	byRTS         bool
	sending       bool // belongs to the goroutine of Write

	mu     sync.Mutex // of the driver: whoever writes must not switch it on behind Close
	closed bool
}

// newDirected listens from the start.
func newDirected(p Port, dir director, r RS485) (*directed, error) {
	if err := dir.Send(false); err != nil {
		return nil, err
	}
	return &directed{Port: p, dir: dir, before: r.Before, after: r.After, byRTS: r.Mode == RS485RTS}, nil
}

// Write implements [Port].
func (d *directed) Write(p []byte, until time.Time) (int, error) {
	if !d.sending {
		if err := d.turn(true); err != nil {
			return 0, err
		}
		d.sending = true
		time.Sleep(d.before)
	}
	return d.Port.Write(p, until)
}

// Drain implements [Port]. After a deadline the driver stays on: bytes are still leaving, until [Port.Discard].
func (d *directed) Drain(until time.Time) error {
	if err := d.Port.Drain(until); err != nil {
		return err
	}
	if !d.sending {
		return nil
	}
	time.Sleep(d.after)
	return d.listen()
}

// Discard implements [Port].
func (d *directed) Discard() error { return errors.Join(d.Port.Discard(), d.listen()) }

func (d *directed) listen() error {
	d.sending = false
	return d.turn(false)
}

func (d *directed) turn(send bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return os.ErrClosed
	}
	return d.dir.Send(send)
}

// Close implements [Port]: a line that nobody serves is left to the others.
func (d *directed) Close() error {
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		_ = d.dir.Send(false)
	}
	d.mu.Unlock()
	return errors.Join(d.Port.Close(), d.dir.Close())
}

// SetLine implements lineSetter. RTS is not a user's when it is the switch of the driver, which would stay on.
func (d *directed) SetLine(c LineChange) error {
	if d.byRTS && c.RTS != nil {
		return fmt.Errorf("RTS switches the driver of the line: %w", ErrFixedLine)
	}
	if s, ok := d.Port.(lineSetter); ok {
		return s.SetLine(c)
	}
	return ErrFixedLine
}

// LineErrors are those of the port behind it.
func (d *directed) LineErrors() (LineErrors, bool) {
	if c, ok := d.Port.(errorCounter); ok {
		return c.LineErrors()
	}
	return LineErrors{}, false
}
