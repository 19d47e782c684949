package serialport

import (
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// drainer calls tcdrain(3) with a deadline. The call itself has none: with a device that takes nothing it may last until the
// tty hangs up. So it runs on a descriptor of its own, which its last user closes, and at most one call runs at a time.
type drainer struct {
	fd    int
	drain func(fd int) error // tcdrain; a test brings another
	quit  chan struct{}      // closed by close: ends every wait

	mu      sync.Mutex
	running chan struct{} // closed when the running call has returned; nil: none
	err     error         // of the call that returned last
	closed  bool
}

func newDrainer(fd int, drain func(fd int) error) *drainer {
	return &drainer{fd: fd, drain: drain, quit: make(chan struct{})}
}

// wait waits for all that was written before it, until the moment until.
func (d *drainer) wait(until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for {
		done, mine, err := d.join()
		if err != nil {
			return err
		}
		select {
		case <-done:
		case <-d.quit:
			return os.ErrClosed
		case <-timer.C:
			return os.ErrDeadlineExceeded
		}
		// a call that began before our bytes were written says nothing about them
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
	err := d.drain(d.fd)
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
	close(d.quit)
	if d.running == nil {
		_ = unix.Close(d.fd)
	}
}

// tcdrain is tcdrain(3): an argument other than 0 makes TCSBRK wait and send no break.
func tcdrain(fd int) error {
	for {
		if err := unix.IoctlSetInt(fd, unix.TCSBRK, 1); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
