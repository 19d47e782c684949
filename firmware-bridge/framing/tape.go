package framing

import "time"

// tape holds the bytes that were fed and not consumed, when they arrived, and the counters. Every kind embeds it.
//
//	b:      ░░░░consumed░░░░│··········rest()··········
//	marks:                  │ n=3, 10:00:00 │ n=7, 10:00:01 │
//
// A kind consumes only through take, separate and discard, so the counters balance by construction.
type tape struct {
	b     []byte
	off   int // b[:off] is consumed
	marks []mark
	first int // marks[:first] are consumed
	start time.Time
	stats Stats // all but Pending
}

// mark says that the next n bytes arrived at the same moment.
type mark struct {
	n  int
	at time.Time
}

// Feed implements [Framer].
func (t *tape) Feed(now time.Time, p []byte) {
	if len(p) == 0 {
		return
	}
	t.compact()
	t.b = append(t.b, p...)
	t.marks = append(t.marks, mark{len(p), now})
	t.stats.Read += int64(len(p))
}

// Start implements [Framer].
func (t *tape) Start() time.Time { return t.start }

// Stats implements [Framer].
func (t *tape) Stats() Stats {
	s := t.stats
	s.Pending = int64(len(t.b) - t.off)
	return s
}

// Wake implements [Framer] for the kinds to which silence means nothing.
func (t *tape) Wake() time.Time { return time.Time{} }

// compact moves what is left to the front, so that the memory is reused and never grows past the rest and one chunk.
func (t *tape) compact() {
	t.b = t.b[:copy(t.b, t.b[t.off:])]
	t.off = 0
	t.marks = t.marks[:copy(t.marks, t.marks[t.first:])]
	t.first = 0
}

// rest is what is not consumed yet.
func (t *tape) rest() []byte { return t.b[t.off:] }

// take consumes n bytes as a frame and the sep bytes behind it as its delimiter.
func (t *tape) take(n, sep int) []byte {
	t.start = t.marks[t.first].at
	frame := t.b[t.off : t.off+n : t.off+n]
	t.stats.Frames++
	t.stats.InFrames += int64(n)
	t.consume(n)
	t.separate(sep)
	return frame
}

// separate consumes n bytes that belong to no frame and are no fault.
func (t *tape) separate(n int) {
	t.stats.Delimiters += int64(n)
	t.consume(n)
}

// discard consumes n bad bytes.
func (t *tape) discard(n int) {
	t.stats.Bad += int64(n)
	t.consume(n)
}

func (t *tape) consume(n int) {
	t.off += n
	for n > 0 {
		m := &t.marks[t.first]
		if m.n > n {
			m.n -= n
			return
		}
		n -= m.n
		t.first++
	}
}

// settle says that what is left is the beginning of one frame: from then on only the time of its first byte matters, and a
// frame that dribbles in byte by byte needs one mark, not thousands.
func (t *tape) settle() {
	if len(t.marks)-t.first > 1 {
		t.marks[t.first].n = len(t.b) - t.off
		t.marks = t.marks[:t.first+1]
	}
}
