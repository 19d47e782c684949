package framing

import "bytes"

// cutter is a tape cut at every end byte. What stands between two of them is decoded in place, then finished.
type cutter struct {
	tape
	end      byte
	limit    int  // the most bytes of a segment
	restarts bool // a frame may start in the middle of a segment
	seen     int  // rest()[:seen] holds no end
	skipping bool // inside a segment that is already counted as bad
}

// segment is the next one, not empty, with its end not consumed yet; nil, nil: needs more.
func (c *cutter) segment() ([]byte, error) {
	for {
		rest := c.rest()
		n := bytes.IndexByte(rest[c.seen:], c.end)
		if n < 0 {
			return nil, c.wait(rest)
		}
		n += c.seen
		c.seen = 0
		switch {
		case c.skipping:
			c.skipping = false
			c.discard(n)
			c.separate(1)
		case n == 0:
			c.separate(1)
		case n > c.limit:
			return nil, c.reject(n, ErrTooLong)
		default:
			return rest[:n], nil
		}
	}
}

// wait keeps the beginning of a segment, or throws it away when it is too long whatever may follow.
func (c *cutter) wait(rest []byte) error {
	c.seen = len(rest)
	if c.restarts {
		c.thin()
	} else {
		c.settle()
	}
	if !c.skipping && len(rest) <= c.limit {
		return nil
	}
	c.discard(len(rest))
	c.seen = 0
	if c.skipping {
		return nil
	}
	c.skipping = true
	c.stats.BadFrames++
	return ErrTooLong
}

// reject throws away a segment of n bytes.
func (c *cutter) reject(n int, why error) error {
	c.stats.BadFrames++
	c.discard(n)
	c.separate(1)
	return why
}

// finish consumes a segment of seg bytes, whose first n are the frame now, decoded; n < 0: it is malformed. nil, nil: nothing
// is left of it.
func (c *cutter) finish(seg, n, limit int, s *sum) ([]byte, error) {
	switch {
	case n < 0:
		return nil, c.reject(seg, ErrMalformed)
	case n > limit:
		return nil, c.reject(seg, ErrTooLong)
	case n > 0 && s != nil:
		c.stats.Checks++
		if !s.right(c.rest()[:n]) {
			return nil, c.reject(seg, ErrChecksum)
		}
	}
	if n -= min(n, s.cut()); n > 0 {
		return c.take(n, seg+1-n), nil
	}
	c.separate(seg + 1)
	return nil, nil
}
