package bridge

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

const (
	// settled: what a device said last has come to its end when it has been silent for so long. The beginning of a frame from
	// before the request, such as a prompt, is then no reason to take the end of that frame for anything but the answer.
	settled = 100 * time.Millisecond
	// lateMost bounds how long a request waits for the late answer to the one before it.
	lateMost = 10 * time.Second
)

// listener collects what comes while a request waits for its answer.
type listener struct {
	since  time.Time // a frame that began before is no answer
	frames chan []byte
	bytes  chan struct{} // capacity 1: bytes came

	ended atomic.Bool   // no one waits any more: what comes now is late
	late  chan struct{} // capacity 1: a frame came after that
	until time.Time     // so long the next request waits for that; belongs to the writer
}

// listening is the listener of the request that waits for its answer, or did not get one. The reader reports what it reads, the
// writer what it asks. Whoever makes one sets start.
type listening struct {
	start    time.Time                // immutable
	now      atomic.Pointer[listener] // nil: no request waits
	lastRead atomic.Int64             // ns from start to the last bytes; 0: none yet
}

// begin makes a listener for a request that is about to be written.
func (s *listening) begin(now time.Time) *listener {
	l := &listener{since: now, frames: make(chan []byte, answerFrames), bytes: make(chan struct{}, 1),
		late: make(chan struct{}, 1)}
	if last := s.lastRead.Load(); last == 0 || now.Sub(s.start)-time.Duration(last) >= settled {
		l.since = time.Time{}
	}
	s.now.Store(l)
	return l
}

// end is called when no answer is waited for any more, not even a late one.
func (s *listening) end() { s.now.Store(nil) }

// bytesRead is called with each read, before its frames.
func (s *listening) bytesRead(now time.Time) {
	s.lastRead.Store(max(1, int64(now.Sub(s.start))))
	if l := s.now.Load(); l != nil {
		wake(l.bytes)
	}
}

// frameRead is called with each frame after OnFrame had it; it never waits.
func (s *listening) frameRead(began time.Time, frame []byte) {
	l := s.now.Load()
	switch {
	case l == nil || began.Before(l.since):
	case l.ended.Load():
		wake(l.late)
	default:
		select {
		case l.frames <- slices.Clone(frame):
		default:
		}
	}
}

// awaitLate waits for the answer that the request before did not get in time.
func (s *listening) awaitLate(ctx context.Context) {
	if l := s.now.Load(); l != nil {
		discover.Wait(ctx, time.Until(l.until), l.late)
		s.end()
	}
}

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// carry writes what was queued and, if it is a request, waits for its answer.
func (d *Device) carry(ctx context.Context, port serialport.Port, w writeReq) (Answer, error) {
	if !w.isRequest {
		return Answer{}, d.put(port, w.data)
	}
	l := d.listening.begin(time.Now())
	if err := d.put(port, w.data); err != nil {
		d.listening.end()
		return Answer{}, err
	}
	a, err := l.await(ctx, w.timeout, w.silence)
	if l.ended.Store(true); err == nil {
		d.listening.end()
	}
	l.until = time.Now().Add(min(w.timeout, lateMost))
	return a, err
}

// await returns the answer: one frame, or all frames until a silence.
func (l *listener) await(ctx context.Context, timeout, silence time.Duration) (Answer, error) {
	timer, most := time.NewTimer(timeout), time.NewTimer(max(answerLasts, timeout))
	defer timer.Stop()
	defer most.Stop()
	var a Answer
	for size := 0; ; {
		select {
		case <-ctx.Done():
			return a, ErrLost
		case f := <-l.frames:
			if size += len(f); size > answerBytes && len(a.Frames) > 0 {
				return a, nil
			}
			a.Frames = append(a.Frames, f)
			if silence == 0 || len(a.Frames) == answerFrames {
				return a, nil
			}
			timer.Reset(silence)
		case <-l.bytes:
			if len(a.Frames) > 0 {
				timer.Reset(silence)
			}
		case <-most.C:
			return a, l.orNone(a)
		case <-timer.C:
			return a, l.orNone(a)
		}
	}
}

// orNone is [ErrNoAnswer] when there is no answer.
func (l *listener) orNone(a Answer) error {
	if len(a.Frames) == 0 {
		return ErrNoAnswer
	}
	return nil
}
