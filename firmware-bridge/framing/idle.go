package framing

import (
	"errors"
	"slices"
	"time"
)

// idle cuts where the line was silent for a while.
//
// Two things show a silence. Certain is a Next at Wake or later: the caller was waiting and nothing came. Less certain are two
// chunks far apart: a caller who was late finds many bytes at once, so the time that the later chunk took on the line
// does not count as silence.
type idle struct {
	tape
	max      int
	sum      *sum
	gap      time.Duration
	charTime time.Duration
	ended    []burst // bursts that a silence ended, oldest first
	open     burst   // the one that may go on
}

// burst is a run of bytes in rest without a silence.
type burst struct {
	n   int
	bad bool // its beginning is thrown away already
}

func newIdle(s *Spec, c *sum) (Framer, error) {
	switch {
	case s.Gap == 0 && s.Chars == 0:
		return nil, errors.New("needs gap (20ms) or chars (3.5)")
	case s.Gap != 0 && s.Chars != 0:
		return nil, errors.New("gap and chars say the same thing; keep one")
	case s.Chars != 0 && s.CharTime <= 0:
		return nil, errors.New("chars needs a baud rate; use gap")
	}
	return &idle{max: s.Max, sum: c, gap: s.Silence(), charTime: s.CharTime}, nil
}

// Feed implements [Framer].
func (f *idle) Feed(now time.Time, p []byte) {
	if len(p) == 0 {
		return
	}
	onLine := time.Duration(len(p)) * f.charTime
	if f.running() && now.Sub(f.last)-onLine >= f.gap {
		f.ended = append(f.ended, f.open)
		f.open = burst{}
	}
	f.tape.Feed(now, p)
	f.open.n += len(p)
}

// Wake implements [Framer].
func (f *idle) Wake() time.Time {
	if !f.running() {
		return time.Time{}
	}
	return f.last.Add(f.gap)
}

// End implements [Framer]. The end of a connection is a silence too.
func (f *idle) End() {
	if f.running() {
		f.ended = append(f.ended, f.open)
		f.open = burst{}
	}
}

func (f *idle) running() bool { return f.open.n > 0 || f.open.bad }

// Next implements [Framer].
func (f *idle) Next(now time.Time) ([]byte, error) {
	for len(f.ended) > 0 {
		b := f.ended[0]
		f.ended = slices.Delete(f.ended, 0, 1)
		if frame, err := f.finish(b); frame != nil || err != nil {
			return frame, err
		}
	}
	if f.running() && now.Sub(f.last) >= f.gap {
		b := f.open
		f.open = burst{}
		return f.finish(b)
	}
	f.settle()
	if !f.open.bad && f.open.n <= f.max {
		return nil, nil
	}
	// too long already: hold nothing of it and wait for the silence
	b := f.open
	f.open = burst{bad: true}
	return f.finish(b)
}

// finish consumes a burst: a frame, or bytes to throw away.
func (f *idle) finish(b burst) ([]byte, error) {
	if !b.bad && b.n <= f.max {
		if err := f.check(b.n, 0, f.sum); err != nil {
			return nil, err
		}
		if cut := f.sum.cut(); b.n > cut {
			return f.take(b.n-cut, cut), nil
		}
		f.separate(b.n)
		return nil, nil
	}
	f.discard(b.n)
	if b.bad {
		return nil, nil
	}
	f.stats.BadFrames++
	return nil, ErrTooLong
}

// Encode implements [Framer]. The silence between two frames is the writer's to keep: [Spec.Silence].
func (f *idle) Encode(dst, payload []byte) ([]byte, error) {
	if len(payload) == 0 {
		return dst, ErrEmpty
	}
	if err := checkPayload(len(payload)+f.sum.cut(), f.max); err != nil {
		return dst, err
	}
	return f.sum.seal(dst, payload)
}
