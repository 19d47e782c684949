package bridge

import (
	"errors"
	"fmt"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// ErrReadBack: a register reads otherwise than was written.
var ErrReadBack = errors.New("does not read as written")

// errFirst: the register could not be read before some of its bits are written.
var errFirst = errors.New("reading its register first")

// writing is a command that writes values into a unit. Each value is written once, in order, until one fails; then those that
// were written, or may have been, are read back. It is pure: pdu is the next request, result takes what came of it.
type writing struct {
	writes  []modbus.Write
	retries int // of a read; after a write that was not answered there are none

	phase   int
	at      int    // index of the write that is written or read back now
	tries   int    // of the read
	before  []byte // what the register of bits held; nil: not read yet
	written int    // writes that were answered
	sent    int    // the same, and one that was not answered
	values  []Reading
	err     error
}

// The phases of a [writing].
const (
	writingValues = iota
	readingBack
	writingDone
)

func (w *writing) done() bool { return w.phase == writingDone }

func (w *writing) reads() bool {
	return w.phase == readingBack || w.writes[w.at].ReadsFirst() && w.before == nil
}

// pdu is the request that comes next.
func (w *writing) pdu() []byte {
	if !w.reads() {
		return w.writes[w.at].PDU(w.before)
	}
	r := w.writes[w.at].Register
	return modbus.ReadPDU(r.Kind, r.Address, r.Size())
}

// result is called with the data of the answer, or with why there is none: err, and f for what it means.
func (w *writing) result(data []byte, err error, f failure) {
	unsure := errors.Is(w.err, ErrNoAnswer)
	if w.reads() && f.noAnswer && w.tries < w.retries && !unsure {
		w.tries++
		return
	}
	w.tries = 0
	name := w.writes[w.at].Register.Name
	switch {
	case w.phase == readingBack:
		w.readBack(data, f)
		return
	case err != nil:
		err = outcome(err)
		if w.reads() && !errors.Is(err, ErrExpired) {
			err = fmt.Errorf("%w: %s", errFirst, f.bad)
		} else if errors.Is(err, ErrNoAnswer) {
			w.sent++
		}
		w.err = err
		if len(w.writes) > 1 || !errors.Is(err, ErrExpired) {
			w.err = fmt.Errorf("%s (%d of %d written): %w", name, w.written, len(w.writes), err)
		}
		if w.phase = readingBack; errors.Is(err, ErrStuck) {
			w.phase = writingDone
		}
		w.nextReadBack(0)
	case w.reads():
		w.before = data
	default:
		w.before = nil
		w.written++
		w.sent++
		if w.at++; w.at == len(w.writes) {
			w.phase = readingBack
			w.nextReadBack(0)
		}
	}
}

// outcome makes ErrNoAnswer of an exception that leaves open whether the write is carried out.
func outcome(err error) error {
	var e modbus.Exception
	if errors.As(err, &e) && e.Unsure() {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return err
}

// readBack takes what a register reads now.
func (w *writing) readBack(data []byte, f failure) {
	x := w.writes[w.at]
	got := Reading{Name: x.Register.Name, Unit: x.Register.Unit, Bad: f.bad}
	if f.bad == "" {
		var err error
		if got.Value, err = x.Register.Decode(data); err != nil {
			got.Bad = err.Error()
		}
	}
	w.values = append(w.values, got)
	if w.err == nil && (got.Bad != "" || got.Value != x.Want) {
		w.err = fmt.Errorf("%s %w: %s, wrote %s", x.Register.Name, ErrReadBack, got, x.Want)
	}
	if f.noAnswer {
		w.phase = writingDone // each of the others would cost a timeout
		return
	}
	w.nextReadBack(w.at + 1)
}

// nextReadBack goes on with the first value, from an index on, that can be read back.
func (w *writing) nextReadBack(from int) {
	w.before = nil
	for w.at = from; w.at < w.sent && w.writes[w.at].Register.WriteOnly; w.at++ {
	}
	if w.at >= w.sent {
		w.phase = writingDone
	}
}

// String is the value, or why there is none.
func (r Reading) String() string {
	if r.Bad != "" {
		return r.Bad
	}
	return r.Value.String()
}
