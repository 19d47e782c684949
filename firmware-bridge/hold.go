package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// ErrHeld: a console has the device; nothing was written.
var ErrHeld = errors.New("a console has the port")

// Limits of a hold.
const (
	leastBaud  = 50
	mostBaud   = 4_000_000
	pieceLasts = 250 * time.Millisecond // time on the line of what is written at once
	leastPiece = 16

	// bufferLasts is how much may wait in the machine, in time on the line. What a user believes to be written must not be
	// dropped when the hold ends, and must not go out at another speed.
	bufferLasts = 50 * time.Millisecond
)

// Hold is the right of one user to be the only one who writes to a device, until Release. Meanwhile commands are refused with
// [ErrHeld], and a Modbus bus is not polled. What is read goes to OnFrame as always; [Device.Tap] shows it to the user. A lost
// port does not end a hold: its writes fail with [ErrNotOpen] until the port is back, and then the line is as the hold had set
// it. Safe for concurrent use.
type Hold struct{ d *Device }

// Hold takes the device; [ErrHeld] when another user has it. What was queued before is carried out first.
func (d *Device) Hold() (*Hold, error) {
	h := &Hold{d: d}
	if !d.holder.CompareAndSwap(nil, h) {
		return nil, fmt.Errorf("device %q: %w", d.o.Name, ErrHeld)
	}
	return h, nil
}

// Line is how the line is configured.
func (d *Device) Line() (baud int, mode serialport.Mode) { return d.o.Baud, d.o.Mode }

// Write writes bytes as they are, without framing, and returns when the driver has them: nil, [ErrNotOpen], [ErrStuck] or
// [ErrLost]. If it returns the error of ctx, they may still be written, until Release.
func (h *Hold) Write(ctx context.Context, p []byte) error {
	return h.do(ctx, writeReq{data: bytes.Clone(p)})
}

// Set changes the line until Release. [serialport.ErrFixedLine] when the port has none to change, [serialport.ErrBadLine], or
// another error of the driver; all leave the port open.
func (h *Hold) Set(ctx context.Context, c serialport.LineChange) error {
	if c.Baud != 0 && (c.Baud < leastBaud || c.Baud > mostBaud) {
		return fmt.Errorf("device %q: %w: a baud rate of %d to %d", h.d.o.Name, serialport.ErrBadLine, leastBaud, mostBaud)
	}
	return h.do(ctx, writeReq{change: &c})
}

func (h *Hold) do(ctx context.Context, w writeReq) error {
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

// Release gives the device back. Its line is as configured again before anyone else writes. What the hold had queued and was
// not written yet is not written any more.
func (h *Hold) Release() {
	h.d.monitor.mu.Lock() // so that no command is queued before the line is given back
	defer h.d.monitor.mu.Unlock()
	h.d.holder.CompareAndSwap(h, nil)
	// fails when the port is not open, and then there is no line to give back
	_ = h.d.enqueueLocked(writeReq{hold: h, wakeOnly: true, done: func(Answer, error) {}})
}

// held is nil when w may be queued, as far as holds go. The lock of the state is held.
func (d *Device) held(w writeReq) error {
	switch h := d.holder.Load(); {
	case h == w.hold || w.wakeOnly:
		return nil
	case h == nil:
		return fmt.Errorf("device %q: the console has ended: %w", d.o.Name, os.ErrClosed)
	}
	return fmt.Errorf("device %q: %w", d.o.Name, ErrHeld)
}

// carryOut does what a hold wants, on the goroutine that writes. The error is for the hold; fatal says that it is the port's too.
func (d *Device) carryOut(port serialport.Port, w writeReq) (err error, fatal bool) {
	defer func() { d.line.restore(port, d.holder.Load()) }() // the hold may have ended meanwhile
	switch {
	case d.holder.Load() != w.hold:
		return os.ErrClosed, false
	case w.change != nil:
		return d.line.change(port, w.hold, *w.change), false
	}
	err = d.writePieces(port, w)
	return d.o.writeError(err, port), err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, errReleased)
}

// errReleased ends a write of a hold that has ended.
var errReleased = errors.New("the console has ended")

// writePieces writes at once only what takes a short while on the line: after the end of a hold its bytes must not go on.
func (d *Device) writePieces(port serialport.Port, w writeReq) error {
	char := d.line.charTime(w.hold)
	piece := max(leastPiece, int(pieceLasts/max(char, 1)))
	for data := w.data; len(data) > 0; {
		if d.holder.Load() != w.hold {
			return errReleased
		}
		n := min(piece, len(data))
		until := time.Now().Add(d.o.WriteTimeout + 2*time.Duration(n)*char)
		err := d.push(port, data[:n], until)
		slow := time.Duration(n)*char > bufferLasts
		if err == nil && (d.o.RS485.Mode != serialport.RS485Off || slow) { // else the driver of the line would stay on
			err = port.Drain(until)
		}
		if err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
