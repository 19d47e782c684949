package bridge

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// Errors of a console.
var (
	// ErrHeld: a console has the device; nothing was written.
	ErrHeld = errors.New("a console has the port")
	// ErrFixedLine: the settings of the line cannot be changed here.
	ErrFixedLine = errors.New("the line of this port cannot be set")
)

// LineChange is what to change about an open line. Zero and nil: as it is.
type LineChange struct {
	Baud     int
	Mode     Mode
	DTR, RTS *bool
	Break    bool // send one, of a quarter to half a second
}

// lineSetter is a [Port] whose line can be changed while it is open. It belongs to the goroutine of Write.
type lineSetter interface{ SetLine(LineChange) error }

// Hold is the right to write to a device for one user alone, from its beginning to Release: commands are refused with [ErrHeld], and
// a Modbus bus is not polled. What is read goes to OnFrame as ever; [Device.Tap] shows it to the user. A lost port does not end a
// hold: its writes fail with [ErrNotOpen] until the port is back, and then it has the line as the hold left it. Safe for concurrent
// use.
type Hold struct {
	d *Device

	mu   sync.Mutex
	line LineChange // what it changed so far
}

// Hold takes the device; [ErrHeld] when somebody has it. What was queued before is carried out first.
func (d *Device) Hold() (*Hold, error) {
	h := &Hold{d: d}
	if !d.holder.CompareAndSwap(nil, h) {
		return nil, fmt.Errorf("device %q: %w", d.o.Name, ErrHeld)
	}
	return h, nil
}

// Line is how the line is configured.
func (d *Device) Line() (baud int, mode Mode) { return d.o.Baud, d.o.Mode }

// Write writes bytes as they are, without framing, and returns when the driver has them: nil, [ErrNotOpen], [ErrStuck], [ErrLost],
// or ctx's error, and then they may still be written.
func (h *Hold) Write(ctx context.Context, p []byte) error {
	return h.do(ctx, pending{data: bytes.Clone(p)})
}

// Set changes the line until Release. [ErrFixedLine] when the port has none to change, or another error of the driver; both leave the
// port open.
func (h *Hold) Set(ctx context.Context, c LineChange) error {
	return h.do(ctx, pending{change: &c})
}

func (h *Hold) do(ctx context.Context, w pending) error {
	done := make(chan error, 1)
	w.hold, w.done = h, func(_ Answer, err error) { done <- err }
	if err := h.d.enqueue(w); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Release gives the device back, with its line as configured. Once.
func (h *Hold) Release() {
	d := h.d
	back := pending{hold: h, change: &LineChange{Baud: d.o.Baud, Mode: d.o.Mode}, done: func(Answer, error) {}}
	if h.changed().Baud == 0 {
		back.change = &LineChange{} // it wakes the owner of a bus
	}
	_ = d.enqueue(back) // a port that is not open has nothing to give back
	d.holder.CompareAndSwap(h, nil)
}

// changed is the settings that are not as configured; zero: none.
func (h *Hold) changed() LineChange {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.line
}

// held is called with the lock of the device held: may w be queued?
func (d *Device) held(w pending) error {
	switch h := d.holder.Load(); {
	case h == w.hold:
		return nil
	case h == nil:
		return fmt.Errorf("device %q: the console has ended: %w", d.o.Name, os.ErrClosed)
	}
	return fmt.Errorf("device %q: %w", d.o.Name, ErrHeld)
}

// direct carries out what a hold wants, on the goroutine that writes. The error is for the hold; fatal says that it is the port's too.
func (d *Device) direct(port Port, w pending) (err error, fatal bool) {
	if w.change != nil {
		return w.hold.set(port, *w.change), false
	}
	until := time.Now().Add(d.o.WriteTimeout + 2*time.Duration(len(w.data))*w.hold.charTime())
	err = d.push(port, w.data, until)
	if err == nil && d.o.RS485.Mode != RS485Off { // or the driver would stay on
		err = port.Drain(until)
	}
	return d.verdict(err, port), err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

// charTime is how long a character takes now.
func (h *Hold) charTime() time.Duration {
	if c := h.changed(); c.Baud > 0 {
		return c.Mode.CharTime(c.Baud)
	}
	return h.d.o.Framing.CharTime
}

// set changes the line and keeps in mind how it is.
func (h *Hold) set(port Port, c LineChange) error {
	if c == (LineChange{}) {
		return nil
	}
	s, ok := port.(lineSetter)
	if !ok {
		return fmt.Errorf("device %q: %w", h.d.o.Name, ErrFixedLine)
	}
	if err := s.SetLine(c); err != nil {
		return fmt.Errorf("device %q: %w", h.d.o.Name, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Baud > 0 || c.Mode != (Mode{}) {
		h.line = LineChange{Baud: cmp.Or(c.Baud, h.line.Baud, h.d.o.Baud), Mode: cmp.Or(c.Mode, h.line.Mode, h.d.o.Mode)}
	}
	return nil
}

// resume gives a port that was opened anew the line that a hold had set.
func (d *Device) resume(port Port) {
	if h := d.holder.Load(); h != nil {
		_ = h.set(port, h.changed()) // the user sees that nothing sensible comes
	}
}
