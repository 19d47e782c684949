package framing

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// delimiter cuts at the first occurrence of a sequence of bytes.
type delimiter struct {
	tape
	max      int
	end      []byte
	keep     bool
	seen     int  // no delimiter starts in rest()[:seen]
	skipping bool // inside a frame that is already counted as bad
}

// maxDelimiter bounds what is held beyond the longest frame.
const maxDelimiter = 16

func newDelimiter(s Spec) (Framer, error) {
	if len(s.Bytes) == 0 {
		return nil, errors.New("frame type \"delimiter\": needs bytes, in hex, such as 0d0a")
	}
	if len(s.Bytes) > maxDelimiter {
		return nil, fmt.Errorf("frame type \"delimiter\": %d bytes, at most %d", len(s.Bytes), maxDelimiter)
	}
	return &delimiter{max: s.Max, end: slices.Clone(s.Bytes), keep: s.Keep}, nil
}

// Next implements [Framer].
func (d *delimiter) Next(time.Time) ([]byte, error) {
	for {
		rest := d.rest()
		n := bytes.Index(rest[d.seen:], d.end)
		if n < 0 {
			return nil, d.wait(rest)
		}
		n += d.seen
		d.seen = 0
		switch {
		case d.skipping:
			d.skipping = false
			d.discard(n)
			d.separate(len(d.end))
		case n == 0:
			d.separate(len(d.end))
		case n > d.max:
			d.stats.BadFrames++
			d.discard(n)
			d.separate(len(d.end))
			return nil, ErrTooLong
		case d.keep:
			return d.take(n+len(d.end), 0), nil
		default:
			return d.take(n, len(d.end)), nil
		}
	}
}

// wait keeps the beginning of a frame; of one that is too long only what may be the beginning of its delimiter.
func (d *delimiter) wait(rest []byte) error {
	d.settle()
	tail := min(len(d.end)-1, len(rest))
	d.seen = len(rest) - tail
	if !d.skipping && d.seen <= d.max {
		return nil
	}
	d.discard(d.seen)
	d.seen = 0
	if d.skipping {
		return nil
	}
	d.skipping = true
	d.stats.BadFrames++
	return ErrTooLong
}

// Encode implements [Framer].
func (d *delimiter) Encode(dst, payload []byte) ([]byte, error) {
	if len(payload) == 0 {
		return dst, ErrEmpty
	}
	content := bytes.TrimSuffix(payload, d.end)
	if err := checkPayload(len(content), d.max); err != nil {
		return dst, err
	}
	out := append(dst, content...)
	out = append(out, d.end...)
	// look at the whole: the end of the payload and the delimiter may together hold an earlier one
	if i := bytes.Index(out[len(dst):], d.end); i != len(content) {
		return dst, fmt.Errorf("at byte %d of the payload: %w", i, ErrDelimiter)
	}
	return out, nil
}
