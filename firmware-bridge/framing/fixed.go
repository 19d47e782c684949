package framing

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// fixed cuts frames of one size. With a header it looks for the next one wherever a frame does not start with it; without,
// the first byte after the port was opened is taken for the start of a frame, and nothing can tell if that was wrong.
type fixed struct {
	tape
	size     int
	header   []byte
	skipping bool // inside a stretch that is already counted as one
}

func newFixed(s Spec) (Framer, error) {
	switch {
	case s.Size < 1:
		return nil, fmt.Errorf("frame type \"fixed\": size of %d bytes; use at least 1", s.Size)
	case s.Size > s.Max:
		return nil, fmt.Errorf("frame type \"fixed\": size of %d bytes, but max is %d", s.Size, s.Max)
	case len(s.Header) > s.Size:
		return nil, fmt.Errorf("frame type \"fixed\": header of %d bytes in a frame of %d", len(s.Header), s.Size)
	}
	return &fixed{size: s.Size, header: slices.Clone(s.Header)}, nil
}

// Next implements [Framer].
func (f *fixed) Next(time.Time) ([]byte, error) {
	for {
		rest := f.rest()
		if n := f.astray(rest); n > 0 {
			f.discard(n)
			if !f.skipping {
				f.skipping = true
				f.stats.BadFrames++
				return nil, ErrResync
			}
			continue
		}
		if len(rest) < len(f.header) {
			return nil, nil
		}
		f.skipping = false
		if len(rest) < f.size {
			f.settle()
			return nil, nil
		}
		return f.take(f.size, 0), nil
	}
}

// astray is how many bytes stand before the next header, or before what may become one.
func (f *fixed) astray(rest []byte) int {
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

// Encode implements [Framer].
func (f *fixed) Encode(dst, payload []byte) ([]byte, error) {
	switch {
	case len(payload) == 0:
		return dst, ErrEmpty
	case len(payload) != f.size:
		return dst, fmt.Errorf("payload of %d bytes, not %d: %w", len(payload), f.size, ErrWrongSize)
	case !bytes.HasPrefix(payload, f.header):
		return dst, fmt.Errorf("header is %x: %w", f.header, ErrNoHeader)
	}
	return append(dst, payload...), nil
}
