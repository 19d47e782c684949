package framing

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// counted cuts frames whose size is known before they end: all have one size (type fixed), or a field says it (type length).
//
//	│ header │ … │ length │ payload │ checksum │ trailer │
//	             ▲ offset                      ▲ here a header, a length, a checksum and a trailer are right
//
// Whatever looks like a frame and is none costs one byte, and the search goes on behind it: a false header swallows nothing
// that comes after it. Until as many bytes came as its length tells, it holds back what came: at most until a silence of gap.
// Without a header and without a checksum the first byte after the port was opened is taken for the start of a frame, and
// nothing can tell if that was wrong.
type counted struct {
	tape
	max      int
	size     int   // of every frame; 0: field says it
	field    field // what says it
	header   []byte
	trailer  []byte
	sum      *sum
	keep     bool          // frames keep header, length and trailer
	gap      time.Duration // 0: silence means nothing
	certain  bool          // only a silence that was waited for counts: a caller who was late finds old bytes at once
	charTime time.Duration
	edge     int64 // a silence came before this byte of the stream: no frame goes on there
	summed   int   // bytes that checksums were computed over since Next was asked
	skipping bool  // inside a stretch that is already counted as one
}

// Our own choices.
const (
	countedGap = 3 * time.Second // if Spec.Gap is zero: longer than devices, adapters and most networks pause inside a frame
	sumAtOnce  = 1 << 20         // bytes: of a search that finds nothing, so that whoever asks can stop
)

// field is where a frame says how long it is.
type field struct {
	offset, width int
	mask          uint32
	little        bool
	adjust        int
}

func newFixed(s *Spec, c *sum) (Framer, error) {
	switch {
	case s.Size < 1:
		return nil, fmt.Errorf("size of %d bytes; use at least 1", s.Size)
	case s.Size > s.Max:
		return nil, fmt.Errorf("size of %d bytes, but max is %d", s.Size, s.Max)
	case len(s.Header)+c.size() > s.Size:
		return nil, fmt.Errorf("header and checksum of %d bytes in a frame of %d", len(s.Header)+c.size(), s.Size)
	case s.SumFrom+c.size() > s.Size:
		return nil, fmt.Errorf("checksum from byte %d in a frame of %d", s.SumFrom, s.Size)
	}
	f := &counted{max: s.Max, size: s.Size, header: slices.Clone(s.Header), sum: c, keep: true, gap: s.Gap, charTime: s.CharTime}
	f.fill()
	return f, nil
}

func newLength(s *Spec, c *sum) (Framer, error) {
	f := &counted{max: s.Max, header: slices.Clone(s.Header), trailer: slices.Clone(s.Trailer), sum: c, keep: s.Keep,
		gap: s.Gap, charTime: s.CharTime,
		field: field{offset: s.Offset, width: s.Width, mask: s.Mask, little: s.Little, adjust: s.Adjust}}
	switch {
	case s.Width < 1 || s.Width > 4:
		return nil, fmt.Errorf("width of %d bytes; use 1 to 4", s.Width)
	case s.Offset < len(s.Header):
		return nil, fmt.Errorf("offset %d lies inside the header of %d bytes", s.Offset, len(s.Header))
	case s.Offset > len(s.Header) && !s.Keep:
		return nil, errors.New("the bytes between header and length would be cut off with them; use keep")
	case uint64(s.Mask) >= 1<<(8*s.Width):
		return nil, fmt.Errorf("mask %#x is wider than the field of %d bytes", s.Mask, s.Width)
	case f.overhead() > s.Max:
		return nil, fmt.Errorf("a frame without payload has %d bytes, but max is %d", f.overhead(), s.Max)
	case s.SumFrom > s.Offset+s.Width:
		return nil, fmt.Errorf("checksum from byte %d, behind the length", s.SumFrom)
	}
	if s.Mask == 0 {
		f.field.mask = 1<<(8*s.Width) - 1
	}
	f.fill()
	return f, nil
}

// fill sets what the spec leaves open: where a false start can be recognized, a silence ends it.
func (f *counted) fill() {
	if f.gap == 0 && f.isChecked() {
		f.gap, f.certain = countedGap, true
	}
}

// isChecked is true when the end of a frame shows whether it was one.
func (f *counted) isChecked() bool { return f.sum != nil || len(f.trailer) > 0 }

// overhead is the size of a frame without payload.
func (f *counted) overhead() int {
	return f.field.offset + f.field.width + f.sum.size() + len(f.trailer)
}

// Feed implements [Framer]. The time that p took on the line is no silence.
func (f *counted) Feed(now time.Time, p []byte) {
	if !f.certain {
		f.noteSilence(now.Add(-time.Duration(len(p)) * f.charTime))
	}
	f.tape.Feed(now, p)
}

// noteSilence notes a silence that lasted until now.
func (f *counted) noteSilence(now time.Time) {
	if f.gap > 0 && now.Sub(f.last) >= f.gap {
		f.edge = f.stats.Read
	}
}

// Wake implements [Framer].
func (f *counted) Wake() time.Time {
	if f.gap == 0 || len(f.rest()) == 0 {
		return time.Time{}
	}
	return f.last.Add(f.gap)
}

// End implements [Framer]. Where a false start cannot be recognized, the search would only make frames of the truncated one.
func (f *counted) End() {
	if f.gap > 0 {
		f.edge = f.stats.Read
	}
}

// Next implements [Framer].
func (f *counted) Next(now time.Time) ([]byte, error) {
	f.noteSilence(now)
	f.summed = 0
	for {
		rest := f.rest()
		if n := f.skippable(rest); n > 0 {
			if err := f.drop(n, ErrResync); err != nil {
				return nil, err
			}
			continue
		}
		truncated := f.edge > f.at()
		if truncated {
			rest = rest[:f.edge-f.at()]
		}
		n, err := f.measure(rest)
		switch {
		case err == nil && n > 0:
			f.skipping = false
			if frame := f.takeWhole(n); frame != nil {
				return frame, nil
			}
			continue
		case err == nil && !truncated:
			f.wait()
			return nil, nil
		case err == nil:
			err = ErrTruncated
		}
		if err := f.drop(1, err); err != nil {
			return nil, err
		}
	}
}

// wait keeps what may be the beginning of a frame.
func (f *counted) wait() {
	n, _ := f.declared(f.rest())
	if n > 0 && len(f.rest()) >= len(f.header) && f.gap == 0 {
		f.settle() // nothing can show any more that it is no frame
	} else {
		f.thin()
	}
}

// skippable is how many bytes stand before the next header, or before what may become one.
func (f *counted) skippable(rest []byte) int {
	if bytes.HasPrefix(rest, f.header) {
		return 0
	}
	if i := bytes.Index(rest, f.header); i >= 0 {
		return i
	}
	for k := min(len(f.header)-1, len(rest)); k > 0; k-- {
		if bytes.HasSuffix(rest, f.header[:k]) {
			return len(rest) - k
		}
	}
	return len(rest)
}

// drop discards bytes; a stretch of them is reported once.
func (f *counted) drop(n int, why error) error {
	f.discard(n)
	if f.skipping && f.summed < sumAtOnce {
		return nil
	}
	if !f.skipping {
		f.skipping = true
		f.stats.BadFrames++
	}
	return why
}

// measure is the size of the frame that rest begins with, when it is whole and right; 0: needs more.
func (f *counted) measure(rest []byte) (int, error) {
	n, err := f.declared(rest)
	if err != nil || n == 0 || n > len(rest) {
		return 0, err
	}
	if !bytes.HasSuffix(rest[:n], f.trailer) {
		return 0, ErrMalformed
	}
	if f.sum != nil {
		f.stats.Checks++
		f.summed += n
		if !f.sum.right(rest[:n-len(f.trailer)]) {
			return 0, ErrChecksum
		}
	}
	return n, nil
}

// declared is the size of the frame that rest begins with, as it says itself; 0: the field is not here yet.
func (f *counted) declared(rest []byte) (int, error) {
	if f.size > 0 {
		return f.size, nil
	}
	end := f.field.offset + f.field.width
	if len(rest) < end {
		return 0, nil
	}
	n := int64(readUint(rest[f.field.offset:end], f.field.little)&f.field.mask) + int64(f.field.adjust)
	switch {
	case n < 0:
		return 0, ErrMalformed
	case n > int64(f.max-f.overhead()):
		return 0, ErrTooLong
	}
	return int(n) + f.overhead(), nil
}

// takeWhole consumes a frame of n bytes; nil when nothing is left of it.
func (f *counted) takeWhole(n int) []byte {
	pre, post := 0, f.sum.cut()
	if !f.keep {
		pre, post = f.field.offset+f.field.width, f.sum.size()+len(f.trailer)
	}
	if n == pre+post {
		f.separate(n)
		return nil
	}
	return f.cut(pre, n-pre-post, post)
}

// Encode implements [Framer]. Type fixed wants the whole frame, but for a checksum that is cut; type length wants the payload,
// or with keep the whole frame.
func (f *counted) Encode(dst, payload []byte) ([]byte, error) {
	switch {
	case len(payload) == 0:
		return dst, ErrEmpty
	case !f.keep:
		return f.wrap(dst, payload)
	case !bytes.HasPrefix(payload, f.header):
		return dst, fmt.Errorf("header is %x: %w", f.header, ErrNoHeader)
	}
	content, ok := bytes.CutSuffix(payload, f.trailer)
	if !ok {
		return dst, fmt.Errorf("trailer is %x: %w", f.trailer, ErrMalformed)
	}
	n, err := f.declared(payload)
	if err != nil {
		return dst, fmt.Errorf("length of the payload: %w", err)
	}
	if n -= f.sum.cut(); n != len(payload) {
		return dst, fmt.Errorf("payload of %d bytes, not %d: %w", len(payload), n, ErrWrongSize)
	}
	out, err := f.sum.seal(dst, content)
	if err != nil {
		return dst, err
	}
	return append(out, f.trailer...), nil
}

// wrap makes a frame around the payload.
func (f *counted) wrap(dst, payload []byte) ([]byte, error) {
	if err := checkPayload(len(payload), f.max-f.overhead()); err != nil {
		return dst, err
	}
	n := int64(len(payload) - f.field.adjust)
	if n < 0 || n&int64(f.field.mask) != n {
		return dst, fmt.Errorf("payload of %d bytes, which the length cannot say: %w", len(payload), ErrTooLong)
	}
	out := append(dst, f.header...)
	out = append(appendUint(out, uint32(n), f.field.width, f.field.little), payload...)
	if f.sum != nil {
		out = f.sum.put(out, f.sum.add(f.sum.init, out[len(dst)+f.sum.from:]))
	}
	return append(out, f.trailer...), nil
}
