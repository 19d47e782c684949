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
	sum      *sum
	end      []byte
	keep     bool
	seen     int  // no delimiter starts in rest()[:seen]
	skipping bool // inside a frame that is already counted as bad
}

// maxDelimiter bounds what is held beyond the longest frame.
const maxDelimiter = 16

func newDelimiter(s *Spec, c *sum) (Framer, error) {
	if len(s.Bytes) == 0 {
		return nil, errors.New("needs bytes, in hex, such as 0d0a")
	}
	if len(s.Bytes) > maxDelimiter {
		return nil, fmt.Errorf("bytes: %d of them, at most %d", len(s.Bytes), maxDelimiter)
	}
	return &delimiter{max: s.Max, sum: c, end: slices.Clone(s.Bytes), keep: s.Keep}, nil
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
		default:
			if err := d.check(n, len(d.end), d.sum); err != nil {
				return nil, err
			}
			if d.keep {
				return d.take(n+len(d.end), 0), nil
			}
			if cut := d.sum.cut(); n > cut {
				return d.take(n-cut, len(d.end)+cut), nil
			}
			d.separate(n + len(d.end))
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
	content := payload
	if d.sum.cut() == 0 { // else the payload is anything, and must not lose its end
		content = bytes.TrimSuffix(payload, d.end)
	}
	n := len(content) + d.sum.cut()
	if n > d.max {
		return dst, checkPayload(n, d.max)
	}
	out, err := d.sum.seal(dst, content)
	if err != nil {
		return dst, err
	}
	out = append(out, d.end...)
	// look at the whole: the end of the payload and the delimiter may together hold an earlier one
	if i := bytes.Index(out[len(dst):], d.end); i != n {
		return dst, fmt.Errorf("at byte %d of the payload: %w", i, ErrDelimiter)
	}
	return out, nil
}
