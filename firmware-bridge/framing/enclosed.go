package framing

import (
	"bytes"
	"fmt"
	"time"
)

// Control characters of ISO 646.
const (
	stx = 0x02
	etx = 0x03
	dle = 0x10
)

// enclosed cuts frames between STX and ETX (type stx_etx), with a block check character or another checksum behind ETX.
//
//	plain  │ STX │ payload without STX and ETX │ ETX │ checksum │
//	dle    │ DLE STX │ payload, each DLE doubled │ DLE ETX │ checksum │
//
// A start inside a frame begins a new one. The checksum is never stuffed, and covers payload and ETX, or what SumOver says, but
// no DLE of the framing.
type enclosed struct {
	tape
	max      int
	dle      bool
	sum      *sum
	before   []byte // covered by the checksum before the payload
	after    []byte // and behind it
	start    []byte
	seen     int // in rest(): the payload up to here is known; 0: no start was found
	held     int // its bytes, decoded
	skipping bool
}

func newEnclosed(s *Spec, c *sum) (Framer, error) {
	f := &enclosed{max: s.Max, dle: s.DLE, sum: c, start: []byte{stx}}
	if s.DLE {
		f.start = []byte{dle, stx}
	}
	switch s.SumOver {
	case "", "etx":
		f.after = []byte{etx}
	case "payload":
	case "all":
		f.before, f.after = []byte{stx}, []byte{etx}
	default:
		return nil, fmt.Errorf("checksum over %q: unknown; use etx, payload or all", s.SumOver)
	}
	return f, nil
}

// Next implements [Framer].
func (f *enclosed) Next(time.Time) ([]byte, error) {
	for {
		if f.seen == 0 {
			if n := f.skippable(); n > 0 {
				if err := f.drop(n, ErrResync); err != nil {
					return nil, err
				}
				continue
			}
			if len(f.rest()) < len(f.start) {
				return nil, nil
			}
			f.seen, f.held = len(f.start), 0
		}
		whole, err := f.scan()
		switch {
		case err != nil:
			if err = f.drop(f.seen, err); err != nil {
				return nil, err
			}
		case !whole:
			f.thin()
			return nil, nil
		default:
			if frame, err := f.finish(); frame != nil || err != nil {
				return frame, err
			}
		}
	}
}

// skippable is how many bytes stand before the next start, or before what may become one.
func (f *enclosed) skippable() int {
	rest := f.rest()
	if bytes.HasPrefix(rest, f.start) {
		return 0
	}
	if i := bytes.Index(rest, f.start); i >= 0 {
		return i
	}
	if f.dle && len(rest) > 0 && rest[len(rest)-1] == dle {
		return len(rest) - 1
	}
	return len(rest)
}

// drop discards bytes; a stretch of them is reported once.
func (f *enclosed) drop(n int, why error) error {
	f.discard(n)
	f.seen = 0
	if f.skipping {
		return nil
	}
	f.skipping = true
	f.stats.BadFrames++
	return why
}

// scan moves seen to the end of the payload, and says whether all that belongs to the frame is here. After an error seen is
// where the search for the next frame begins.
func (f *enclosed) scan() (whole bool, err error) {
	rest := f.rest()
	for {
		run := f.run(rest[f.seen:])
		if f.held+run > f.max {
			f.seen += f.max - f.held + 1
			return false, ErrTooLong
		}
		f.held += run
		f.seen += run
		at := f.seen // of the byte that decides
		if f.dle {
			at++
		}
		if at >= len(rest) {
			return false, nil
		}
		switch b := rest[at]; {
		case b == etx:
			return len(rest) > at+f.sum.size(), nil
		case b == stx:
			return false, ErrTruncated
		case b == dle && f.held < f.max:
			f.held++
			f.seen += 2
		case b == dle:
			f.seen += 2
			return false, ErrTooLong
		default:
			f.seen++ // a DLE that means nothing; what is behind it may be a start
			return false, ErrMalformed
		}
	}
}

// run is how many bytes of p are plain payload.
func (f *enclosed) run(p []byte) int {
	if f.dle {
		if n := bytes.IndexByte(p, dle); n >= 0 {
			return n
		}
		return len(p)
	}
	for i, b := range p {
		if b == etx || b == stx {
			return i
		}
	}
	return len(p)
}

// finish consumes the frame whose end was found, or nothing but its start, when its checksum is wrong.
func (f *enclosed) finish() ([]byte, error) {
	rest := f.rest()
	pre, n, end := len(f.start), f.held, f.seen+len(f.start) // ETX is as long as STX
	if f.dle {
		unstuff(rest[pre:f.seen])
	}
	if s := f.sum; s != nil {
		f.stats.Checks++
		c := s.add(s.add(s.add(s.init, f.before), rest[pre:pre+n]), f.after)
		if s.end(c) != s.read(rest[end:]) {
			return nil, f.drop(end, ErrChecksum) // a checksum that was lost must not cost the next start
		}
	}
	f.seen = 0
	f.skipping = false
	if n == 0 {
		f.separate(end + f.sum.size())
		return nil, nil
	}
	return f.cut(pre, n, end-pre-n+f.sum.size()), nil
}

// unstuff makes one of each two DLE, in place.
func unstuff(p []byte) {
	n := bytes.IndexByte(p, dle)
	if n < 0 {
		return
	}
	for i := n; i < len(p); i++ {
		if p[i] == dle {
			i++
		}
		p[n] = p[i]
		n++
	}
}

// Encode implements [Framer].
func (f *enclosed) Encode(dst, payload []byte) ([]byte, error) {
	if err := checkPayload(len(payload), f.max); err != nil {
		return dst, err
	}
	if i := bytes.IndexAny(payload, "\x02\x03"); i >= 0 && !f.dle {
		return dst, fmt.Errorf("STX or ETX at byte %d of the payload, which only dle can carry: %w", i, ErrDelimiter)
	}
	out := append(dst, f.start...)
	for _, b := range payload {
		if f.dle && b == dle {
			out = append(out, dle)
		}
		out = append(out, b)
	}
	if f.dle {
		out = append(out, dle)
	}
	out = append(out, etx)
	if s := f.sum; s != nil {
		out = s.put(out, s.add(s.add(s.add(s.init, f.before), payload), f.after))
	}
	return out, nil
}
