package framing

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
)

// Checksums are the names of those that a frame may end with. The CRCs are, in the words of the catalogue of parametrised CRC
// algorithms (reveng.sourceforge.io), CRC-16/MODBUS, CRC-16/IBM-3740 (also known as CCITT-FALSE), CRC-24/LTE-A with init 0
// (as in RTCM 3, Qualcomm's) and CRC-32/ISO-HDLC. The sums add bytes; lrc is the two's complement of sum8.
func Checksums() []string {
	return []string{"crc16/modbus", "crc16/ccitt", "crc24q", "crc32", "sum8", "sum15", "sum16", "xor8", "lrc"}
}

// ChecksumSize is how many bytes a checksum takes; 0 for none.
func ChecksumSize(name string) int {
	c, err := newSum(&Spec{Checksum: name})
	if err != nil {
		return 0
	}
	return c.size()
}

// Generator polynomials, as the standards write them.
const (
	polyModbus = 0x8005
	polyCCITT  = 0x1021
	poly24Q    = 0x864cfb
)

// sum makes and compares the checksum of a frame. Immutable. A nil *sum is no checksum.
type sum struct {
	name   string
	width  int // bytes
	mask   uint32
	little bool // the low byte comes first
	from   int  // the first byte that is covered
	keep   bool // frames keep it
	init   uint32
	table  *[256]uint32 // of the CRCs but crc32; left aligned, or reflected
}

// newSum is the checksum of a spec, nil when it has none.
func newSum(s *Spec) (*sum, error) {
	if s.Checksum == "" {
		return nil, nil
	}
	if !slices.Contains(Checksums(), s.Checksum) {
		return nil, fmt.Errorf("checksum %q: unknown; use one of %s", s.Checksum, strings.Join(Checksums(), ", "))
	}
	if s.SumFrom < 0 || s.SumLittle && s.SumBig {
		return nil, fmt.Errorf("checksum %q from byte %d, both byte orders: cannot be", s.Checksum, s.SumFrom)
	}
	c := &sum{name: s.Checksum, width: 1, mask: 0xff, from: s.SumFrom, keep: s.Keep}
	switch c.name {
	case "crc16/modbus":
		c.width, c.mask, c.init, c.table, c.little = 2, 0xffff, 0xffff, reflected(polyModbus), true
	case "crc16/ccitt":
		c.width, c.mask, c.init, c.table = 2, 0xffff, 0xffff<<16, leftAligned(polyCCITT<<16)
	case "crc24q":
		c.width, c.mask, c.table = 3, 0xffffff, leftAligned(poly24Q<<8)
	case "crc32":
		c.width, c.mask = 4, 0xffffffff
	case "sum15":
		c.width, c.mask = 2, 0x7fff
	case "sum16":
		c.width, c.mask = 2, 0xffff
	}
	c.little = c.little && !s.SumBig || s.SumLittle
	return c, nil
}

// leftAligned is the table of a CRC that takes the high bit first, for a register whose top bits it uses.
func leftAligned(poly uint32) *[256]uint32 {
	var t [256]uint32
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			c = c<<1 ^ poly&-(c>>31)
		}
		t[i] = c
	}
	return &t
}

// reflected is the table of a CRC of 16 bits that takes the low bit first.
func reflected(poly uint32) *[256]uint32 {
	back := uint32(0)
	for i := range 16 {
		back |= poly >> i & 1 << (15 - i)
	}
	var t [256]uint32
	for i := range t {
		c := uint32(i)
		for range 8 {
			c = c>>1 ^ back&-(c&1)
		}
		t[i] = c
	}
	return &t
}

// size is how many bytes it takes.
func (s *sum) size() int {
	if s == nil {
		return 0
	}
	return s.width
}

// cut is how many of them are cut off a frame.
func (s *sum) cut() int {
	if s == nil || s.keep {
		return 0
	}
	return s.width
}

// add takes the bytes of p into c, which is s.init at first.
func (s *sum) add(c uint32, p []byte) uint32 {
	switch {
	case s.width == 4:
		return crc32.Update(c, crc32.IEEETable, p)
	case s.table != nil && s.name == "crc16/modbus":
		t := s.table
		for _, b := range p {
			c = c>>8 ^ t[byte(c)^b]
		}
	case s.table != nil:
		t := s.table
		for _, b := range p {
			c = c<<8 ^ t[byte(c>>24)^b]
		}
	case s.name == "xor8":
		for _, b := range p {
			c ^= uint32(b)
		}
	default:
		for _, b := range p {
			c += uint32(b)
		}
	}
	return c
}

// end is the checksum that c came to.
func (s *sum) end(c uint32) uint32 {
	switch s.name {
	case "crc16/ccitt":
		c >>= 16
	case "crc24q":
		c >>= 8
	case "lrc":
		c = -c
	}
	return c & s.mask
}

// right is true when frame ends with the checksum of what comes before.
func (s *sum) right(frame []byte) bool {
	n := len(frame) - s.width
	return n >= s.from && s.read(frame[n:]) == s.end(s.add(s.init, frame[s.from:n]))
}

// read is the checksum that p begins with, as the line has it.
func (s *sum) read(p []byte) (v uint32) { return readUint(p[:s.width], s.little) }

// put appends the checksum that c came to.
func (s *sum) put(dst []byte, c uint32) []byte { return appendUint(dst, s.end(c), s.width, s.little) }

// seal appends payload and its checksum to dst. With keep the payload has it already, and it must be right.
func (s *sum) seal(dst, payload []byte) ([]byte, error) {
	out := append(dst, payload...)
	switch {
	case s == nil:
		return out, nil
	case len(payload) < s.from:
		return dst, fmt.Errorf("payload of %d bytes, and the checksum begins at %d: %w", len(payload), s.from, ErrWrongSize)
	case !s.keep:
		return s.put(out, s.add(s.init, payload[s.from:])), nil
	case !s.right(payload):
		return dst, fmt.Errorf("the payload must end with its %s: %w", s.name, ErrChecksum)
	}
	return out, nil
}

func readUint(p []byte, little bool) (v uint32) {
	for i, b := range p {
		if little {
			v |= uint32(b) << (8 * i)
		} else {
			v = v<<8 | uint32(b)
		}
	}
	return v
}

func appendUint(dst []byte, v uint32, width int, little bool) []byte {
	for i := range width {
		if !little {
			i = width - 1 - i
		}
		dst = append(dst, byte(v>>(8*i)))
	}
	return dst
}
