package operator

import (
	"fmt"
	"io"
	"sync"
	"time"
)

const (
	spoutHolds = 1 << 20         // bytes
	spoutEnd   = 2 * time.Second // for what waits at the end
)

// spout writes to something that may take nothing for long, such as a pipe, without holding up who writes to it: what does not fit is
// dropped and told.
type spout struct {
	out    io.Writer
	notice func(string)
	more   chan struct{} // capacity 1
	ended  chan struct{}

	mu      sync.Mutex
	waiting []byte
	dropped int64
	over    bool
	err     error
}

func newSpout(out io.Writer, notice func(string)) *spout {
	s := &spout{out: out, notice: notice, more: make(chan struct{}, 1), ended: make(chan struct{})}
	go s.run()
	return s
}

// write never waits. The error is that of an earlier write.
func (s *spout) write(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting)+len(p) > spoutHolds {
		s.dropped += int64(len(p))
	} else {
		s.waiting = append(s.waiting, p...)
	}
	s.wake()
	return s.err
}

// close waits for what waits, for a while.
func (s *spout) close() {
	s.mu.Lock()
	s.over = true
	s.wake()
	s.mu.Unlock()
	timer := time.NewTimer(spoutEnd)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
	}
}

func (s *spout) wake() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

func (s *spout) run() {
	defer close(s.ended)
	for range s.more {
		p, dropped, over := s.take()
		if dropped > 0 {
			s.notice(fmt.Sprintf("%d bytes dropped here: the output is slower than the device", dropped))
		}
		if len(p) > 0 {
			if _, err := s.out.Write(p); err != nil {
				s.mu.Lock()
				s.err = err
				s.mu.Unlock()
				return
			}
		}
		if over {
			return
		}
	}
}

func (s *spout) take() (p []byte, dropped int64, over bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, dropped, over = s.waiting, s.dropped, s.over
	s.waiting, s.dropped = nil, 0
	return p, dropped, over
}
