package serialport

import (
	"context"
	"errors"
	"time"
)

// Errors of Open, Read and Write. Wrapped, with the path or a detail.
var (
	// ErrAbsent: there is no such device now; it may come.
	ErrAbsent = errors.New("no such device")
	// ErrInUse: another program holds the port.
	ErrInUse = errors.New("in use by another program")
	// ErrGone: the device hung up: unplugged, or the other end of a pseudo-terminal closed.
	ErrGone = errors.New("the device is gone")
)

// ReadSize is a good size of a buffer for [Port.Read]: what a tty of the kernel holds at most.
const ReadSize = 4 << 10

// Port is an open serial port. Read belongs to one goroutine; Write, Drain and Discard to another; Close to any.
type Port interface {
	// Read waits for at least one byte, until the moment until (zero: without limit): then 0 and os.ErrDeadlineExceeded, and only
	// if no byte is waiting. It returns [ErrGone] after a hang-up and os.ErrClosed after Close.
	Read(p []byte, until time.Time) (int, error)
	// Write hands bytes to the driver, maybe fewer than asked with a nil error. os.ErrDeadlineExceeded: until has passed.
	Write(p []byte, until time.Time) (int, error)
	// Drain waits until what was written has left the machine. os.ErrDeadlineExceeded: until has passed.
	Drain(until time.Time) error
	// Discard drops what was written and has not left.
	Discard() error
	// Close releases every call that waits. Calls after it return os.ErrClosed and touch nothing.
	Close() error
}

// Aborter is a [Port] that can be ended at once: what was written and not taken by the other end is dropped.
type Aborter interface{ Abort() error }

// ErrAborted: we ended the connection, so that nothing that was written goes out late.
var ErrAborted = errors.New("torn down, so that nothing goes out late")

// Line is how the bytes go over the wire. The zero value stands for 9600 baud, 8N1, no flow control, no RS-485.
type Line struct {
	Baud  int
	Mode  Mode
	Flow  Flow
	RS485 RS485
}

// OpenFunc opens a port until ctx ends or it gives up. Errors that a caller tells apart: [ErrAbsent]; anything else is a fault
// that is tried again more slowly.
type OpenFunc func(ctx context.Context, path string, line Line) (Port, error)

// LineErrors are what the driver, or a serial server, counted on a line since it was opened.
type LineErrors struct {
	// Buffer: overruns of the buffer of the kernel, or of ours before a serial server had set its line
	Framing, Overrun, Parity, Break, Buffer int64
}

// ErrorCounter is a [Port] that knows the errors of its line. Safe to call at any time; false when it does not know now.
type ErrorCounter interface{ LineErrors() (LineErrors, bool) }

// Add returns the sum.
func (a LineErrors) Add(b LineErrors) LineErrors {
	return LineErrors{a.Framing + b.Framing, a.Overrun + b.Overrun, a.Parity + b.Parity, a.Break + b.Break, a.Buffer + b.Buffer}
}
