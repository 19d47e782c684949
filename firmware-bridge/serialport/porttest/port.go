// Package porttest has what tests of serial ports and of their users share: a fake port, a cable made of a pseudo-terminal, a
// serial server, and waiting for what must come. It imports nothing of ours.
package porttest

import (
	"bytes"
	"os"
	"sync"
	"time"
)

// Port is a fake serial port over channels, for bubbles of testing/synctest.
type Port struct {
	In chan []byte // what the device says; never closed

	// What Write and Drain do; nil: take all at once.
	OnWrite func(p []byte, until time.Time) (int, error)
	OnDrain func(until time.Time) error

	gone   error         // what a port says that was hung up
	hung   chan struct{} // closed: hung up
	closed chan struct{}

	mu        sync.Mutex
	rest      []byte
	out       []byte
	discarded int
	once      sync.Once
	hangOnce  sync.Once
}

// NewPort returns a port that is open. After [Port.HangUp] it says gone, which is serialport.ErrGone: serialport's own tests use
// this package, so it cannot import it.
func NewPort(gone error) *Port {
	return &Port{In: make(chan []byte, 1024), gone: gone, hung: make(chan struct{}), closed: make(chan struct{})}
}

// Read gives what waits in In before any deadline, and before a hang-up.
func (p *Port) Read(b []byte, until time.Time) (int, error) {
	if len(p.rest) == 0 {
		data, err := p.arrive(until)
		if err != nil {
			return 0, err
		}
		p.rest = data
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *Port) arrive(until time.Time) ([]byte, error) {
	select {
	case data := <-p.In: // what is waiting comes before any deadline
		return data, nil
	default:
	}
	late, stop := deadline(until)
	defer stop()
	select {
	case data := <-p.In:
		return data, nil
	case <-p.hung:
		return nil, p.gone
	case <-p.closed:
		return nil, os.ErrClosed
	case <-late:
		return nil, os.ErrDeadlineExceeded
	}
}

// Write keeps what OnWrite says was taken, see [Port.Written].
func (p *Port) Write(b []byte, until time.Time) (int, error) {
	n, err := len(b), error(nil)
	if p.OnWrite != nil {
		n, err = p.OnWrite(b, until)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, b[:n]...)
	return n, err
}

// Drain is OnDrain.
func (p *Port) Drain(until time.Time) error {
	if p.OnDrain != nil {
		return p.OnDrain(until)
	}
	return nil
}

// Discard only counts, see [Port.Discarded].
func (p *Port) Discard() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.discarded++
	return nil
}

// Close may be called more than once.
func (p *Port) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Say lets the device speak after a while.
func (p *Port) Say(after time.Duration, s string) {
	time.AfterFunc(after, func() { p.In <- []byte(s) })
}

// Closed is closed by Close.
func (p *Port) Closed() <-chan struct{} { return p.closed }

// HangUp unplugs the device: Read and Wait return with the error of [NewPort].
func (p *Port) HangUp() { p.hangOnce.Do(func() { close(p.hung) }) }

// Discarded is how often Discard was called.
func (p *Port) Discarded() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.discarded
}

// Written is all that was taken so far.
func (p *Port) Written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(bytes.Clone(p.out))
}

// Wait blocks a Write or a Drain like a device that takes nothing.
func (p *Port) Wait(until time.Time) error {
	late, stop := deadline(until)
	defer stop()
	select {
	case <-p.hung:
		return p.gone
	case <-p.closed:
		return os.ErrClosed
	case <-late:
		return os.ErrDeadlineExceeded
	}
}

func deadline(until time.Time) (<-chan time.Time, func() bool) {
	if until.IsZero() {
		return nil, func() bool { return true }
	}
	t := time.NewTimer(time.Until(until))
	return t.C, t.Stop
}
