package framing

import (
	"bytes"
	"fmt"
	"time"
)

// nmea cuts the sentences of NMEA 0183, and takes only those whose checksum is right.
//
//	\s:station,c:1241544035*4A\!AIVDM,1,1,,B,15N4cJ`005Jrek0H@9n`DW5608EP,0*13\r\n
//	└───── tag block, if any ──┘└── from $ or !, to * and the exclusive or of what is between, in hex
//
// What stands in a line before the sentence is thrown away, so noise costs no sentence, and of two that lost the line end
// between them the second remains. \r\n is not part of a frame.
type nmea struct {
	cutter
	max int
}

// sumLength is that of "*47".
const sumLength = 3

func newNMEA(s *Spec, _ *sum) (Framer, error) {
	return &nmea{cutter: cutter{end: '\n', limit: s.Max + 1, restarts: true}, max: s.Max}, nil
}

// Next implements [Framer].
func (f *nmea) Next(time.Time) ([]byte, error) {
	for {
		seg, err := f.segment()
		if seg == nil {
			return nil, err
		}
		n := len(bytes.TrimSuffix(seg, []byte("\r")))
		if n == 0 {
			f.separate(len(seg) + 1)
			continue
		}
		start, err := f.find(seg[:n])
		switch {
		case err != nil:
			return nil, f.reject(len(seg), err)
		case start > 0: // the sentence comes next
			f.stats.BadFrames++
			f.discard(start)
			return nil, ErrResync
		case n > f.max:
			return nil, f.reject(len(seg), ErrTooLong)
		}
		return f.take(n, len(seg)+1-n), nil
	}
}

// find is where the sentence starts with which the line ends.
func (f *nmea) find(line []byte) (int, error) {
	why := ErrResync
	for i, b := range line {
		if b != '$' && b != '!' {
			continue
		}
		f.stats.Checks++
		if !rightSentence(line[i:]) {
			why = ErrChecksum
			continue
		}
		return i - tagBlock(line[:i]), nil
	}
	return 0, why
}

// tagBlock is the length of the one that p ends with.
func tagBlock(p []byte) int {
	inner, ok := bytes.CutSuffix(p, []byte{'\\'})
	if start := bytes.LastIndexByte(inner, '\\'); ok && start >= 0 && rightSentence(inner[start:]) {
		return len(p) - start
	}
	return 0
}

// rightSentence looks at the checksum; the first byte is not covered by it.
func rightSentence(p []byte) bool {
	star := len(p) - sumLength
	return star > 1 && p[star] == '*' && unhex(p[star+1])<<4|unhex(p[star+2]) == int(xorOf(p[1:star]))
}

func xorOf(p []byte) (x byte) {
	for _, b := range p {
		x ^= b
	}
	return x
}

// unhex is the value of a hex digit, of anything else more than a byte can be.
func unhex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	}
	return 1 << 8
}

// Encode implements [Framer]. The checksum is added unless it is there; then it must be right.
func (f *nmea) Encode(dst, payload []byte) ([]byte, error) {
	p := bytes.TrimSuffix(bytes.TrimSuffix(payload, []byte("\n")), []byte("\r"))
	if len(p) == 0 {
		return dst, ErrEmpty
	}
	if bytes.ContainsAny(p, "\r\n") {
		return dst, fmt.Errorf("line break before the end of the payload: %w", ErrDelimiter)
	}
	at := bytes.IndexAny(p, "$!")
	if at < 0 || at != tagBlock(p[:at]) {
		return dst, fmt.Errorf("a sentence starts with $ or !: %w", ErrNoHeader)
	}
	out := append(dst, p...)
	if star := bytes.IndexByte(p[at:], '*'); star < 0 {
		out = fmt.Appendf(out, "*%02X", xorOf(p[at+1:]))
	}
	if !rightSentence(out[len(dst)+at:]) {
		return dst, fmt.Errorf("the payload must end with its checksum, or have no *: %w", ErrChecksum)
	}
	if err := checkPayload(len(out)-len(dst), f.max); err != nil {
		return dst, err
	}
	return append(out, '\r', '\n'), nil
}
