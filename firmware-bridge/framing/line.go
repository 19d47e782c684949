package framing

import (
	"bytes"
	"fmt"
	"time"
)

// line cuts at \n, and takes one \r before it for a part of the delimiter.
type line struct {
	tape
	max      int
	sum      *sum
	end      []byte // what Encode adds
	seen     int    // rest()[:seen] holds no \n
	skipping bool   // inside a line that is already counted as bad
}

func newLine(s *Spec, c *sum) (Framer, error) {
	end := "\n"
	switch string(s.Bytes) {
	case "", "\n":
	case "\r\n":
		end = "\r\n"
	default:
		return nil, fmt.Errorf("bytes %x; use 0a or 0d0a here, type delimiter for anything else", s.Bytes)
	}
	return &line{max: s.Max, sum: c, end: []byte(end)}, nil
}

// Next implements [Framer].
func (l *line) Next(time.Time) ([]byte, error) {
	for {
		rest := l.rest()
		i := bytes.IndexByte(rest[l.seen:], '\n')
		if i < 0 {
			return nil, l.wait(rest)
		}
		i += l.seen
		l.seen = 0
		n := i // bytes of content
		if i > 0 && rest[i-1] == '\r' {
			n--
		}
		switch {
		case l.skipping:
			l.skipping = false
			l.discard(i)
			l.separate(1)
		case n == 0:
			l.separate(i + 1)
		case n > l.max:
			// the \r counts as bad here, as it does when the line came in pieces and the \n was not in sight
			l.stats.BadFrames++
			l.discard(i)
			l.separate(1)
			return nil, ErrTooLong
		default:
			if err := l.check(n, i+1-n, l.sum); err != nil {
				return nil, err
			}
			if cut := l.sum.cut(); n > cut {
				return l.take(n-cut, i+1-n+cut), nil
			}
			l.separate(i + 1)
		}
	}
}

// wait keeps the beginning of a line, or throws it away when it is too long whatever may follow.
func (l *line) wait(rest []byte) error {
	l.settle()
	l.seen = len(rest)
	tooLong := len(rest) > l.max+1 || len(rest) == l.max+1 && rest[l.max] != '\r'
	if !l.skipping && !tooLong {
		return nil
	}
	l.discard(len(rest))
	l.seen = 0
	if l.skipping {
		return nil
	}
	l.skipping = true
	l.stats.BadFrames++
	return ErrTooLong
}

// Encode implements [Framer]. A payload that is only the delimiter is allowed: a bare new line wakes many a console.
func (l *line) Encode(dst, payload []byte) ([]byte, error) {
	if l.sum != nil {
		return l.seal(dst, payload)
	}
	if len(payload) == 0 {
		return dst, ErrEmpty
	}
	content := bytes.TrimSuffix(payload, []byte("\n"))
	if bytes.IndexByte(content, '\n') >= 0 {
		return dst, fmt.Errorf("line break before the end of the payload: %w", ErrDelimiter)
	}
	if n := len(bytes.TrimSuffix(content, []byte("\r"))); n > 0 {
		if err := checkPayload(n, l.max); err != nil {
			return dst, err
		}
	}
	dst = append(dst, payload...)
	if len(content) < len(payload) {
		return dst, nil
	}
	return append(dst, l.end...), nil
}

// seal is Encode with a checksum, which must not look like the end of a line.
func (l *line) seal(dst, payload []byte) ([]byte, error) {
	content, ended := bytes.CutSuffix(payload, []byte("\n"))
	if ended {
		content = bytes.TrimSuffix(content, []byte("\r"))
	}
	if len(content) == 0 {
		return dst, ErrEmpty
	}
	if err := checkPayload(len(content)+l.sum.cut(), l.max); err != nil {
		return dst, err
	}
	out, err := l.sum.seal(dst, content)
	if err != nil {
		return dst, err
	}
	line := out[len(dst):]
	if bytes.IndexByte(line, '\n') >= 0 || line[len(line)-1] == '\r' {
		return dst, fmt.Errorf("line break in the payload or its checksum: %w", ErrDelimiter)
	}
	return append(out, l.end...), nil
}
