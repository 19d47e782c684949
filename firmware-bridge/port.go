package bridge

import (
	"errors"
	"time"
)

// What a port says when it is not what was hoped for. Wrapped, with the path or a detail.
var (
	// ErrAbsent: there is no such device now; it may come.
	ErrAbsent = errors.New("no such device")
	// ErrInUse: another program holds the port.
	ErrInUse = errors.New("in use by another program")
	// ErrGone: the device hung up: unplugged, or the other end of a pseudo-terminal closed.
	ErrGone = errors.New("the device is gone")
)

// Port is an open serial port. Read belongs to one goroutine, Write, Drain and Discard to another, Close to anybody.
type Port interface {
	// Read waits for at least one byte, until the moment until (zero: for ever): then 0 and os.ErrDeadlineExceeded, and only
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

// OpenFunc opens a port. Errors that Run tells apart: [ErrAbsent]; anything else is a fault that is tried again more slowly.
type OpenFunc func(path string, baud int, mode Mode) (Port, error)
