package framing

import "time"

// cobs is Consistent Overhead Byte Stuffing (Cheshire and Baker, IEEE/ACM Transactions on Networking 7(2), 1999): a frame
// holds no zero on the line, and a zero ends it.
//
//	│ code │ code-1 bytes that are not zero │ code │ … │ 00 │
//
// Behind the bytes of a block stands a zero of the frame, unless the code is ff or the block is the last.
type cobs struct {
	cutter
	max int
	sum *sum
}

// cobsFull is the code of a block with no zero behind it.
const cobsFull = 0xff

func newCOBS(s *Spec, c *sum) (Framer, error) {
	return &cobs{cutter: cutter{limit: s.Max + s.Max/(cobsFull-1) + 1}, max: s.Max, sum: c}, nil
}

// Next implements [Framer].
func (f *cobs) Next(time.Time) ([]byte, error) {
	for {
		seg, err := f.segment()
		if seg == nil {
			return nil, err
		}
		if frame, err := f.finish(len(seg), decodeCOBS(seg), f.max, f.sum); frame != nil || err != nil {
			return frame, err
		}
	}
}

// decodeCOBS decodes p, without its zero, in place, and returns the new length; -1: a block is longer than what is there.
func decodeCOBS(p []byte) int {
	n := 0
	for i := 0; i < len(p); {
		code := int(p[i])
		end := i + code
		if end > len(p) {
			return -1
		}
		if code < 16 { // cheaper than a call
			for _, b := range p[i+1 : end] {
				p[n] = b
				n++
			}
		} else {
			n += copy(p[n:], p[i+1:end])
		}
		if i = end; code < cobsFull && i < len(p) {
			p[n] = 0
			n++
		}
	}
	return n
}

// Encode implements [Framer].
func (f *cobs) Encode(dst, payload []byte) ([]byte, error) {
	if len(payload) == 0 {
		return dst, ErrEmpty
	}
	if err := checkPayload(len(payload)+f.sum.cut(), f.max); err != nil {
		return dst, err
	}
	sealed, err := f.sum.seal(nil, payload)
	if err != nil {
		return dst, err
	}
	out, code := append(dst, 1), len(dst) // code is where that of the open block stands
	for _, b := range sealed {
		if out[code] == cobsFull {
			out, code = append(out, 1), len(out)
		}
		if b == 0 {
			out, code = append(out, 1), len(out)
			continue
		}
		out = append(out, b)
		out[code]++
	}
	return append(out, 0), nil
}
