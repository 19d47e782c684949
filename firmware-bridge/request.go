package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrNoAnswer says that the payload was written and nothing came back in time.
var ErrNoAnswer = errors.New("no answer in time")

// What an answer may be: more is left out, and still comes through Options.OnFrame.
const (
	answerFrames = 256
	answerBytes  = 32 << 10
)

// Request is a payload that has an answer.
type Request struct {
	Payload []byte
	Expires time.Time     // its turn must come before; zero: it never expires
	Timeout time.Duration // from the last byte out to the first frame in; if zero, then 1 s
	Silence time.Duration // the answer is all frames until nothing came for so long; if zero, then the next frame
	// Unit names the unit of a bus that Payload, a Modbus PDU, is for. If empty, then Payload begins with the address of one.
	Unit string
}

// Answer is what a request or a write to registers brought back.
type Answer struct {
	Frames [][]byte  // of a request
	Values []Reading // of a write to registers: what they read afterwards
}

// Request queues a payload like [Device.Write] and gives its answer to done; nobody else writes in between. A frame that had begun
// before is no answer, and OnFrame hears the answers as well: a frame that came by itself is not lost. On a Modbus bus the answer is
// that of the unit, without address and checksum unless Unit is empty, exceptions too. The errors are those of Write and [ErrNoAnswer].
func (d *Device) Request(r Request, done func(Answer, error)) error {
	w := pending{expires: r.Expires, done: done, asks: true, timeout: r.Timeout, silence: r.Silence}
	if w.timeout == 0 {
		w.timeout = answerWithin
	}
	if d.bus != nil {
		var err error
		if w.query, err = d.bus.query(r); err != nil {
			return fmt.Errorf("device %q: %w", d.o.Name, err)
		}
		w.whole = r.Unit == ""
		return d.enqueue(w)
	}
	var err error
	if w.data, err = d.encode(r.Payload); err != nil {
		return err
	}
	return d.enqueue(w)
}

// listener takes the frames that come while a request waits.
type listener struct {
	since  time.Time
	frames chan []byte
}

// heard is called with each frame after OnFrame had it; it never waits.
func (d *Device) heard(began time.Time, frame []byte) {
	l := d.listening.Load()
	if l == nil || began.Before(l.since) {
		return
	}
	select {
	case l.frames <- slices.Clone(frame):
	default:
	}
}

// carry writes what is queued, and waits for its answer if it has one.
func (d *Device) carry(ctx context.Context, port Port, w pending) (Answer, error) {
	if !w.asks {
		return Answer{}, d.put(port, w.data)
	}
	l := &listener{since: time.Now(), frames: make(chan []byte, answerFrames)}
	d.listening.Store(l)
	defer d.listening.Store(nil)
	if err := d.put(port, w.data); err != nil {
		return Answer{}, err
	}
	return l.await(ctx, w.timeout, w.silence)
}

// await waits for the answer: one frame, or all until a silence.
func (l *listener) await(ctx context.Context, timeout, silence time.Duration) (Answer, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
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
		case <-timer.C:
			if len(a.Frames) == 0 {
				return a, ErrNoAnswer
			}
			return a, nil
		}
	}
}
