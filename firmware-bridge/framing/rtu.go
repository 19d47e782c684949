package framing

import (
	"fmt"
	"time"
)

// From the MODBUS over Serial Line specification V1.02, 2.5.1.
const (
	rtuMin      = 4   // address, function, CRC
	rtuMax      = 256 // bytes
	rtuAddress  = 247 // the highest
	rtuChars    = 3.5 // the silence between two frames, in characters
	rtuFast     = 1750 * time.Microsecond
	rtuCRCBytes = 2
)

// Our own choices.
const (
	rtuHold  = 50 * time.Millisecond // USB adapters deliver every 16 ms unless told otherwise, and a busy host is late
	rtuEdges = 32                    // silences remembered inside one truncated frame
)

// rtuSilence is the 3.5 characters that end a frame, from 19200 baud on the fixed time of the specification.
func rtuSilence(charTime time.Duration) time.Duration {
	return max(rtuFast, time.Duration(rtuChars*float64(charTime)))
}

// rtu cuts Modbus RTU frames (type modbus_rtu), where only silence separates and USB adapters add silences and hide others.
//
// After 3.5 characters of silence the bytes since the last frame are one when their CRC says so, and their function, as far as it
// is known, has frames of that length; or the bytes since an earlier silence are, and those before them bad; or several frames
// came without a silence to be seen, whose lengths their functions tell. Else they may be a part: only after Gap (if zero, then
// 50 ms) of silence, or more bytes than a frame may have, they are searched for frames and the rest is thrown away.
type rtu struct {
	tape
	max      int
	sum      *sum
	charTime time.Duration
	silence  time.Duration
	hold     time.Duration
	edges    []int64 // a silence came before this byte of the stream; oldest first, all above at()
	tried    int     // edges[:tried] end no frame that starts at at(), as far as is known before final
	final    int64   // what comes before this byte of the stream will not be continued
	skipping bool    // inside a stretch that is already counted as one
}

func newRTU(s *Spec, _ *sum) (Framer, error) {
	c, err := newSum(&Spec{Checksum: "crc16/modbus", Keep: s.Keep})
	if err != nil {
		return nil, err
	}
	if s.Max < rtuMin {
		return nil, fmt.Errorf("max of %d bytes; a frame has at least %d", s.Max, rtuMin)
	}
	f := &rtu{max: min(s.Max, rtuMax), sum: c, charTime: s.CharTime, silence: rtuSilence(s.CharTime), hold: s.Gap}
	if f.hold == 0 {
		f.hold = rtuHold
	}
	f.hold = max(f.hold, 2*f.silence)
	return f, nil
}

// Feed implements [Framer]. The time that p took on the line is no silence.
func (f *rtu) Feed(now time.Time, p []byte) {
	if len(p) == 0 {
		return
	}
	f.noteSilence(now.Add(-time.Duration(len(p)) * f.charTime))
	f.tape.Feed(now, p)
}

// noteSilence notes a silence that lasted until now.
func (f *rtu) noteSilence(now time.Time) {
	if quiet := now.Sub(f.last); len(f.rest()) > 0 && quiet >= f.silence {
		f.markSilence(quiet >= f.hold)
	}
}

// markSilence notes a silence after what was fed; forGood: that will not be continued.
func (f *rtu) markSilence(forGood bool) {
	read := f.stats.Read
	if n := len(f.edges); n == 0 || f.edges[n-1] < read {
		f.edges = append(f.edges, read)
	}
	if f.final < read && (forGood || len(f.edges) >= rtuEdges) {
		f.final = read
		f.tried = 0
	}
}

// End implements [Framer].
func (f *rtu) End() {
	if len(f.rest()) > 0 {
		f.markSilence(true)
	}
}

// Wake implements [Framer].
func (f *rtu) Wake() time.Time {
	if len(f.rest()) == 0 {
		return time.Time{}
	}
	if n := len(f.edges); n > 0 && f.edges[n-1] == f.stats.Read {
		return f.last.Add(f.hold)
	}
	return f.last.Add(f.silence)
}

// Next implements [Framer].
func (f *rtu) Next(now time.Time) ([]byte, error) {
	f.noteSilence(now)
	for len(f.rest()) > 0 {
		n, bad := f.atEdges()
		if n == 0 && bad == 0 {
			n, bad = f.search()
		}
		switch {
		case bad > 0:
			f.discard(bad)
			f.moved()
			if !f.skipping {
				f.skipping = true
				f.stats.BadFrames++
				return nil, ErrChecksum
			}
		case n > 0:
			cut := f.sum.cut()
			frame := f.take(n-cut, cut)
			f.moved()
			f.skipping = false
			return frame, nil
		default:
			f.thin()
			return nil, nil
		}
	}
	return nil, nil
}

// moved forgets the edges that were consumed.
func (f *rtu) moved() {
	n := 0
	for n < len(f.edges) && f.edges[n] <= f.at() {
		n++
	}
	f.edges = f.edges[:copy(f.edges, f.edges[n:])]
	f.tried = 0
}

// atEdges looks for frames that a silence ended: the next one has n bytes, or starts behind bad ones.
func (f *rtu) atEdges() (n, bad int) {
	rest, at := f.rest(), f.at()
	for ; f.tried < len(f.edges); f.tried++ {
		end := int(f.edges[f.tried] - at)
		if f.right(rest[:end]) && (fits(rest[:end]) || f.edges[f.tried] <= f.final) {
			return f.trueSize(rest[:end]), 0
		}
		_, more := f.match(rest[:end])
		for _, edge := range f.edges[:f.tried] {
			start := int(edge - at)
			if more && !known(rest[start:end]) || !f.right(rest[start:end]) {
				continue // a part of a truncated frame is right by chance more often than a frame is cut short
			}
			if f.right(rest[:start]) {
				return f.trueSize(rest[:start]), 0
			}
			f.final = max(f.final, edge) // a frame starts here: what comes before will not be continued
			return f.search()
		}
		if n := f.glued(rest[:end]); n > 0 {
			return n, 0
		}
	}
	return 0, 0
}

// trueSize is the size of the frame that p, whose checksum is right, begins with: that of p, or what its function says. Zeros
// after a frame keep the checksum right.
func (f *rtu) trueSize(p []byte) int {
	if !fits(p) {
		if n, _ := f.match(p); n > 0 {
			return n
		}
	}
	return len(p)
}

// right is true when p is a frame, whatever its function.
func (f *rtu) right(p []byte) bool {
	if len(p) < rtuMin || len(p) > f.max || p[0] > rtuAddress {
		return false
	}
	f.stats.Checks++
	return f.sum.right(p)
}

// glued is the length of the first of the frames that p wholly consists of; 0: it does not.
func (f *rtu) glued(p []byte) (first int) {
	for len(p) > 0 {
		n, _ := f.match(p)
		if n == 0 {
			return 0
		}
		if first == 0 {
			first = n
		}
		p = p[n:]
	}
	return first
}

// search looks for a frame anywhere in what will not be continued, or is more than one frame.
func (f *rtu) search() (n, bad int) {
	rest := f.rest()
	final := int(f.final - f.at())
	if final <= 0 && len(rest) <= f.max {
		return 0, 0
	}
	if final > 0 {
		rest = rest[:final]
	}
	for start := range rest {
		n, more := f.match(rest[start:])
		switch {
		case n > 0 && start == 0:
			return n, 0
		case n > 0 || more && final <= 0:
			return 0, start
		}
	}
	return 0, len(rest)
}

// match is the length of the frame that p begins with, by what its function says; more: it may be one with more bytes.
func (f *rtu) match(p []byte) (n int, more bool) {
	if p[0] > rtuAddress {
		return 0, false
	}
	request, answer := rtuLengths(p)
	for _, n := range [2]int{max(request, answer), min(request, answer)} {
		switch {
		case n > f.max || n == 0:
		case n > len(p) || n < 0:
			more = true
		case f.right(p[:n]):
			return n, false
		}
	}
	return 0, more
}

// Encode implements [Framer]. The silence between two frames is the writer's to keep: [Spec.Silence].
func (f *rtu) Encode(dst, payload []byte) ([]byte, error) {
	n := len(payload) + f.sum.cut()
	switch {
	case len(payload) == 0:
		return dst, ErrEmpty
	case n < rtuMin:
		return dst, fmt.Errorf("payload of %d bytes, which is no address and function: %w", len(payload), ErrWrongSize)
	case payload[0] > rtuAddress:
		return dst, fmt.Errorf("address %d, at most %d: %w", payload[0], rtuAddress, ErrMalformed)
	}
	if err := checkPayload(n, f.max); err != nil {
		return dst, err
	}
	return f.sum.seal(dst, payload)
}
