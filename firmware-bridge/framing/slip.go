package framing

import (
	"bytes"
	"time"
)

// The bytes of RFC 1055.
const (
	slipEnd    = 0xc0
	slipEsc    = 0xdb
	slipEscEnd = 0xdc // behind slipEsc: a slipEnd of the frame
	slipEscEsc = 0xdd // behind slipEsc: a slipEsc of the frame
)

// slip is the framing of RFC 1055. A slipEsc before anything else makes a frame malformed.
type slip struct {
	cutter
	max int
	sum *sum
}

func newSLIP(s *Spec, c *sum) (Framer, error) {
	return &slip{cutter: cutter{end: slipEnd, limit: 2 * s.Max}, max: s.Max, sum: c}, nil
}

// Next implements [Framer].
func (f *slip) Next(time.Time) ([]byte, error) {
	for {
		seg, err := f.segment()
		if seg == nil {
			return nil, err
		}
		if frame, err := f.finish(len(seg), decodeSLIP(seg), f.max, f.sum); frame != nil || err != nil {
			return frame, err
		}
	}
}

// decodeSLIP decodes p in place and returns the new length; -1: it is malformed.
func decodeSLIP(p []byte) int {
	n := bytes.IndexByte(p, slipEsc)
	if n < 0 {
		return len(p)
	}
	for i := n; i < len(p); {
		if p[i] != slipEsc {
			run := bytes.IndexByte(p[i:], slipEsc)
			if run < 0 {
				run = len(p) - i
			}
			n += copy(p[n:], p[i:i+run])
			i += run
			continue
		}
		if i+1 == len(p) {
			return -1
		}
		switch p[i+1] {
		case slipEscEnd:
			p[n] = slipEnd
		case slipEscEsc:
			p[n] = slipEsc
		default:
			return -1
		}
		n++
		i += 2
	}
	return n
}

// Encode implements [Framer]. A slipEnd stands before the frame too, as RFC 1055 advises: noise on an idle line then costs no
// frame.
func (f *slip) Encode(dst, payload []byte) ([]byte, error) {
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
	out := append(dst, slipEnd)
	for _, b := range sealed {
		switch b {
		case slipEnd:
			out = append(out, slipEsc, slipEscEnd)
		case slipEsc:
			out = append(out, slipEsc, slipEscEsc)
		default:
			out = append(out, b)
		}
	}
	return append(out, slipEnd), nil
}
