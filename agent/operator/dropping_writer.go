package operator

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	droppingHolds = 1 << 20         // bytes
	droppingEnd   = 2 * time.Second // for what waits at the end
)

// droppingWriter writes to something that may take nothing for long, such as a pipe, and never holds up its caller: what does
// not fit is dropped, and notice says how much.
type droppingWriter struct {
	out    io.Writer
	notice func(string)
	more   chan struct{} // capacity 1
	ended  chan struct{}

	mu      sync.Mutex
	waiting []byte
	dropped int64
	closed  bool
	err     error
}

func newDroppingWriter(out io.Writer, notice func(string)) *droppingWriter {
	w := &droppingWriter{out: out, notice: notice, more: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.run()
	return w
}

// write never waits. The error is that of an earlier write.
func (w *droppingWriter) write(p []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting)+len(p) > droppingHolds {
		w.dropped += int64(len(p))
	} else {
		w.waiting = append(w.waiting, p...)
	}
	w.wake()
	return w.err
}

// close waits for what waits, for a while.
func (w *droppingWriter) close() {
	w.mu.Lock()
	w.closed = true
	w.wake()
	w.mu.Unlock()
	timer := time.NewTimer(droppingEnd)
	defer timer.Stop()
	select {
	case <-w.ended:
	case <-timer.C:
	}
}

func (w *droppingWriter) wake() {
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func (w *droppingWriter) run() {
	defer close(w.ended)
	for range w.more {
		p, dropped, closed := w.take()
		if dropped > 0 {
			w.notice(fmt.Sprintf("%d bytes dropped here: the output is slower than the device", dropped))
		}
		if len(p) > 0 {
			if _, err := w.out.Write(p); err != nil {
				w.mu.Lock()
				w.err = err
				w.mu.Unlock()
				return
			}
		}
		if closed {
			return
		}
	}
}

func (w *droppingWriter) take() (p []byte, dropped int64, closed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, dropped, closed = w.waiting, w.dropped, w.closed
	w.waiting, w.dropped = nil, 0
	return p, dropped, closed
}
