package transporttest

import (
	"io"
	"os"
	"sync"
)

// streamLimit is what one direction buffers before its writer blocks, in bytes: a socket buffer.
const streamLimit = 64 << 10

// stream is one direction of a connection: bytes, then perhaps an end. Safe for concurrent use.
type stream struct {
	mu      sync.Mutex
	buf     []byte
	fin     bool          // the writer is done; readers get io.EOF after the bytes
	err     error         // broken: both sides fail at once, bytes are gone
	deaf    bool          // the reader takes no more; bytes vanish
	gone    bool          // the reader has closed; bytes are answered by an RST
	failed  chan struct{} // closed when err is set
	changed chan struct{} // closed and replaced at every change
}

func newStream() *stream { return &stream{failed: make(chan struct{}), changed: make(chan struct{})} }

// signal wakes all who wait; mu is held.
func (s *stream) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// read waits for bytes, the end, or expired.
func (s *stream) read(p []byte, expired <-chan struct{}) (int, error) {
	for {
		n, wait, err := s.tryRead(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if isClosed(expired) {
			return 0, os.ErrDeadlineExceeded
		}
		select {
		case <-wait:
		case <-expired:
		}
	}
}

func (s *stream) tryRead(p []byte) (int, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return 0, nil, s.err
	case len(s.buf) > 0:
		n := copy(p, s.buf)
		s.buf = s.buf[n:]
		s.signal()
		return n, nil, nil
	case s.fin || s.deaf:
		return 0, nil, io.EOF
	}
	return 0, s.changed, nil
}

// write waits for room, as often as it takes, a broken stream, or expired. Like a socket it tells how much went in.
func (s *stream) write(p []byte, expired <-chan struct{}) (int, error) {
	done := 0
	for {
		if isClosed(expired) {
			return done, os.ErrDeadlineExceeded
		}
		n, wait, err := s.tryWrite(p[done:])
		if done += n; err != nil || done == len(p) {
			return done, err
		}
		select {
		case <-wait:
		case <-expired:
		}
	}
}

func (s *stream) tryWrite(p []byte) (int, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return 0, nil, s.err
	case s.fin:
		return 0, nil, io.ErrClosedPipe
	case s.gone:
		return 0, nil, errReset()
	case s.deaf:
		return len(p), nil, nil
	}
	n := min(len(p), streamLimit-len(s.buf))
	if n > 0 {
		s.buf = append(s.buf, p[:n]...)
		s.signal()
	}
	return n, s.changed, nil
}

// end lets the reader see io.EOF after what is buffered.
func (s *stream) end() { s.update(func() { s.fin = true }) }

// deafen makes what is buffered, and all that follows, vanish.
func (s *stream) deafen() { s.update(func() { s.deaf, s.buf = true, nil }) }

// leave is the reader's Close: bytes are lost, and what still comes is answered by an RST.
func (s *stream) leave() { s.update(func() { s.deaf, s.gone, s.buf = true, true, nil }) }

// fail breaks the stream for both sides; the first error stays.
func (s *stream) fail(err error) {
	s.update(func() {
		if s.err == nil {
			s.err, s.buf = err, nil
			close(s.failed)
		}
	})
}

// orphaned reports whether the writer has closed.
func (s *stream) orphaned() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fin
}

// unreachable reports whether no one is left to read.
func (s *stream) unreachable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone || s.err != nil
}

func (s *stream) update(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	s.signal()
}
