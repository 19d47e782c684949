package transporttest

import (
	"sync"
	"time"
)

// deadline is a settable point in time that blocked reads or writes select on.
type deadline struct {
	mu      sync.Mutex
	timer   *time.Timer
	expired chan struct{} // closed once the time has come; replaced when it is moved afterwards
}

func newDeadline() *deadline { return &deadline{expired: make(chan struct{})} }

// set moves the deadline; the zero time means none.
func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fired := d.timer != nil && !d.timer.Stop() // its expire may still be on the way
	d.timer = nil
	if fired || isClosed(d.expired) {
		d.expired = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	if wait := time.Until(t); wait > 0 {
		c := d.expired
		d.timer = time.AfterFunc(wait, func() { d.expire(c) })
		return
	}
	close(d.expired)
}

func (d *deadline) expire(c chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.expired == c && !isClosed(c) {
		close(c)
	}
}

// done returns a channel that is closed when the deadline has passed.
func (d *deadline) done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.expired
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
