package bridge

import (
	"errors"
	"fmt"
	"time"
)

// ErrNoAnswer says that the payload was written and nothing came back in time.
var ErrNoAnswer = errors.New("no answer in time")

// What an answer may be: more is left out, and still comes through Options.OnFrame.
const (
	answerFrames = 256
	answerBytes  = 32 << 10
	answerLasts  = time.Minute // from the last byte out: a device that is never silent is not held longer
)

// Request is a payload that has an answer.
type Request struct {
	Payload []byte
	Expires time.Time     // its turn must come before; zero: it never expires
	Timeout time.Duration // from the last byte out to the first frame in; if zero, then 1 s
	Silence time.Duration // the answer is all frames until no byte came for so long, at most a minute; if zero, then the next frame
	// Unit names the unit of a bus that Payload, a Modbus PDU, is for. If empty, then Payload begins with the address of one.
	Unit string
}

// Answer is what a request or a write to registers brought back.
type Answer struct {
	Frames [][]byte  // of a request
	Values []Reading // of a write to registers: what they read afterwards
}

// Request queues a payload like [Device.Write] and gives its answer to done; nobody else writes in between. A frame that was coming in
// before is no answer, and OnFrame hears the answers as well: a frame that came by itself is not lost. After [ErrNoAnswer] the next
// request waits for as long again, or until a frame came, so that a late answer is not taken for its own. On a Modbus bus the answer is
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
