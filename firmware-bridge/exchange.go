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
	// settled is how long a device has said nothing when what it said last is not going on: the begin of a frame from before, such as
	// a prompt, is then no reason to take the end of that frame for anything but the answer.
	settled = 100 * time.Millisecond
	// lateMost bounds how long a request waits for the late answer to the one before.
	lateMost = 10 * time.Second
)

// listener takes what comes while a request waits.
type listener struct {
	since  time.Time // frames that were coming in then are no answer
	frames chan []byte
	stir   chan struct{} // capacity 1: bytes came

	over  atomic.Bool   // nobody waits any more: what comes now is late
	late  chan struct{} // capacity 1: a frame came after that
	until time.Time     // how long one may; of the writer
}

// listen makes a listener for a request that is about to be written.
func (d *Device) listen(now time.Time) *listener {
	l := &listener{since: now, frames: make(chan []byte, answerFrames), stir: make(chan struct{}, 1), late: make(chan struct{}, 1)}
	if now.Sub(time.Unix(0, d.lastRead.Load())) >= settled {
		l.since = time.Time{}
	}
	d.listening.Store(l)
	return l
}

// stirred is called with each read, before its frames.
func (d *Device) stirred(now time.Time) {
	d.lastRead.Store(now.UnixNano())
	if l := d.listening.Load(); l != nil {
		poke(l.stir)
	}
}

// heard is called with each frame after OnFrame had it; it never waits.
func (d *Device) heard(began time.Time, frame []byte) {
	l := d.listening.Load()
	switch {
	case l == nil || began.Before(l.since):
	case l.over.Load():
		poke(l.late)
	default:
		select {
		case l.frames <- slices.Clone(frame):
		default:
		}
	}
}

func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// carry writes what is queued, and waits for its answer if it has one.
func (d *Device) carry(ctx context.Context, port serialport.Port, w pending) (Answer, error) {
	if !w.asks {
		return Answer{}, d.put(port, w.data)
	}
	l := d.listen(time.Now())
	if err := d.put(port, w.data); err != nil {
		d.listening.Store(nil)
		return Answer{}, err
	}
	a, err := l.await(ctx, w.timeout, w.silence)
	if l.over.Store(true); err == nil {
		d.listening.Store(nil)
	}
	l.until = time.Now().Add(min(w.timeout, lateMost))
	return a, err
}

// settle waits for the answer that the request before did not get in time.
func (d *Device) settle(ctx context.Context) {
	if l := d.listening.Load(); l != nil {
		discover.Wait(ctx, time.Until(l.until), l.late)
		d.listening.Store(nil)
	}
}

// await waits for the answer: one frame, or all until a silence.
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
		case <-l.stir:
			if len(a.Frames) > 0 {
				timer.Reset(silence)
			}
		case <-most.C:
			return a, l.nothing(a)
		case <-timer.C:
			return a, l.nothing(a)
		}
	}
}

// nothing is [ErrNoAnswer] when there is no answer.
func (l *listener) nothing(a Answer) error {
	if len(a.Frames) == 0 {
		return ErrNoAnswer
	}
	return nil
}
