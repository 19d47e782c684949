package bridge

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// drainer waits for tcdrain(3), which has no deadline: with a device that takes nothing it may hang until the tty hangs up. So
// it runs on a descriptor of its own that the last user closes, and at most one runs at a time.
type drainer struct {
	mu      sync.Mutex
	fd      int
	running chan struct{} // closed when the running call has returned; nil: none
	err     error         // of the call that returned last
	closed  bool
}

// drain waits for all that was written before it, until the moment until.
func (d *drainer) drain(until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for {
		done, mine, err := d.join()
		if err != nil {
			return err
		}
		select {
		case <-done:
		case <-timer.C:
			return os.ErrDeadlineExceeded
		}
		// one that began before our bytes were written says nothing about them
		if mine {
			d.mu.Lock()
			defer d.mu.Unlock()
			return d.err
		}
	}
}

// join starts a call, or finds the one that an earlier caller gave up on.
func (d *drainer) join() (done chan struct{}, mine bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, false, os.ErrClosed
	}
	if d.running != nil {
		return d.running, false, nil
	}
	d.running = make(chan struct{})
	go d.call(d.running)
	return d.running, true, nil
}

func (d *drainer) call(done chan struct{}) {
	err := unix.IoctlSetInt(d.fd, unix.TCSBRK, 1) // tcdrain(3) is this
	for errors.Is(err, unix.EINTR) {
		err = unix.IoctlSetInt(d.fd, unix.TCSBRK, 1)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.running = err, nil
	if d.closed {
		_ = unix.Close(d.fd)
	}
	close(done)
}

func (d *drainer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	d.closed = true
	if d.running == nil {
		_ = unix.Close(d.fd)
	}
}
