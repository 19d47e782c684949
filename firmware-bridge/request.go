package bridge

import (
	"errors"
	"fmt"
	"time"
)

// ErrNoAnswer: the payload was written and nothing came back in time.
var ErrNoAnswer = errors.New("no answer in time")

// The limits of an answer. Frames beyond them are not part of it, and still come through Options.OnFrame.
const (
	answerFrames = 256
	answerBytes  = 32 << 10
	answerLasts  = time.Minute // from the last byte out, as a device may never be silent
)

// Request is a payload that has an answer.
type Request struct {
	Payload []byte
	Expires time.Time     // it is not written later; zero: it never expires
	Timeout time.Duration // from the last byte out to the first frame in; if zero, then 1 s
	// Silence ends an answer of several frames, which lasts a minute at most; if zero, then the answer is the next frame.
	Silence time.Duration
	// Unit names the unit of a bus that Payload, a Modbus PDU, is for. If empty, then Payload begins with the address of one.
	Unit string
}

// Answer is what a request or a write to registers brought back.
type Answer struct {
	Frames [][]byte  // of a request
	Values []Reading // of a write to registers: what they read afterwards
}

// Request queues a payload like [Device.Write] and gives its answer to done; no one else writes in between. A frame that began
// before the request is no answer. OnFrame gets the frames of the answer as well, since one of them may have come by itself.
// After [ErrNoAnswer] the next request waits for as long again, or until a frame has come, so that a late answer is not taken
// for its own. On a Modbus bus the answer is the PDU of the unit, which may be an exception; it has address and checksum only
// if Unit is empty. The errors are those of Write and [ErrNoAnswer].
func (d *Device) Request(r Request, done func(Answer, error)) error {
	w := writeReq{expires: r.Expires, done: done, isRequest: true, timeout: r.Timeout, silence: r.Silence}
	if w.timeout == 0 {
		w.timeout = answerWithin
	}
	if d.bus != nil {
		var err error
		if w.query, err = d.bus.query(r); err != nil {
			return fmt.Errorf("device %q: %w", d.o.Name, err)
		}
		w.withAddress = r.Unit == ""
		return d.enqueue(w)
	}
	var err error
	if w.data, err = d.encode(r.Payload); err != nil {
		return err
	}
	return d.enqueue(w)
}
