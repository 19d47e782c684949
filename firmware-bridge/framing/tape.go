package framing

import "time"

// tape holds the bytes that were fed and not consumed, when they arrived, and the counters. Every kind embeds it.
//
//	b:      ░░░░consumed░░░░│··········rest()··········
//	marks:                  │ n=3, 10:00:00 │ n=7, 10:00:01 │
//
// A kind consumes only through cut, take, separate and discard, so the counters balance by construction.
type tape struct {
	b     []byte
	off   int // b[:off] is consumed
	marks []mark
	first int       // marks[:first] are consumed
	last  time.Time // of the last byte fed
	start time.Time
	stats Stats // all but Pending
}

// maxMarks bounds the times that are kept of bytes in which a frame may still start.
const maxMarks = 512

// mark says that the next n bytes arrived at the same moment.
type mark struct {
	n  int
	at time.Time
}

// Feed implements [Framer]. Inlined, each kind would carry a copy of its own, here and of consume: 10 KiB in all.
//
//go:noinline
func (t *tape) Feed(now time.Time, p []byte) {
	if len(p) == 0 {
		return
	}
	t.compact()
	t.b = append(t.b, p...)
	t.marks = append(t.marks, mark{len(p), now})
	t.last = now
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

// End implements [Framer] for the kinds that wait for bytes alone.
func (t *tape) End() {}

// compact moves what is left to the front, so that the memory is reused and never grows past the rest and one chunk.
func (t *tape) compact() {
	if t.off == 0 {
		return
	}
	t.b = t.b[:copy(t.b, t.b[t.off:])]
	t.off = 0
	t.marks = t.marks[:copy(t.marks, t.marks[t.first:])]
	t.first = 0
}

// rest is what is not consumed yet.
func (t *tape) rest() []byte { return t.b[t.off:] }

// take consumes n bytes as a frame and the sep bytes behind it as its delimiter.
func (t *tape) take(n, sep int) []byte { return t.cut(0, n, sep) }

// cut consumes pre bytes that only begin a frame, n bytes of it, and post bytes that only end it.
func (t *tape) cut(pre, n, post int) []byte {
	t.start = t.marks[t.first].at
	frame := t.b[t.off+pre : t.off+pre+n : t.off+pre+n]
	t.stats.Frames++
	t.stats.InFrames += int64(n)
	t.stats.Delimiters += int64(pre + post)
	t.consume(pre + n + post)
	return frame
}

// check compares the checksum at the end of the first n bytes. When it is wrong they are thrown away, and the sep bytes behind
// them separate.
func (t *tape) check(n, sep int, s *sum) error {
	if s == nil {
		return nil
	}
	t.stats.Checks++
	if s.right(t.rest()[:n]) {
		return nil
	}
	t.stats.BadFrames++
	t.discard(n)
	t.separate(sep)
	return ErrChecksum
}

// at is where rest begins, in bytes since New.
func (t *tape) at() int64 { return t.stats.Read - int64(len(t.b)-t.off) }

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

//go:noinline
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

// thin is settle for the kinds that may find the start of another frame in what is left. With more than maxMarks of them, two
// times become one, the earlier.
func (t *tape) thin() {
	live := t.marks[t.first:]
	if len(live) <= maxMarks {
		return
	}
	for i := range live {
		if i%2 == 1 {
			live[i/2].n += live[i].n
		} else {
			live[i/2] = live[i]
		}
	}
	t.marks = t.marks[:t.first+(len(live)+1)/2]
}
