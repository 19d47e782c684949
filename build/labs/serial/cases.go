package serial

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// framer is one framing to try, and what travels in its frames.
type framer struct {
	name    string
	spec    framing.Spec
	bits    int // of its checksum; 0: none
	payload func(m *maker) []byte
	silence time.Duration // between frames, for those that cut at it
	tear    time.Duration // inside a frame, at most
	swallow int           // bytes behind noise in which a frame may be lost; 0: the next frame
	torn    bool          // the silences inside a frame may end it: some are right by accident
	fast    bool          // has to do 100 MB/s
}

func cases() []framer {
	rtcm := framing.Spec{Type: "length", Header: []byte{0xd3}, Offset: 1, Width: 2, Mask: 0x03ff, Checksum: "crc24q"}
	sirf := framing.Spec{Type: "length", Header: []byte{0xa0, 0xa2}, Offset: 2, Width: 2, Mask: 0x7fff,
		Trailer: []byte{0xb0, 0xb3}, Checksum: "sum15", SumFrom: 4}
	bare := framing.Spec{Type: "length", Header: []byte{0xd3}, Offset: 1, Width: 2, Max: 1024}
	wide := framing.Spec{Type: "length", Width: 4, Little: true, Checksum: "crc32"}
	rtu := framing.Spec{Type: "modbus_rtu", CharTime: 87 * time.Microsecond}
	head := []byte{0xaa, 0x55}
	return []framer{
		{name: "line", spec: framing.Spec{Type: "line"}, payload: text, fast: true},
		{name: "delimiter", spec: framing.Spec{Type: "delimiter", Bytes: []byte("\r\n")}, payload: text},
		{name: "delimiter xor8", spec: framing.Spec{Type: "delimiter", Bytes: []byte("\r\n"), Checksum: "xor8"}, bits: 8,
			payload: eightBit},
		{name: "idle", spec: framing.Spec{Type: "idle", Gap: 20 * time.Millisecond}, payload: binaryData,
			silence: 20 * time.Millisecond, tear: 5 * time.Millisecond},
		{name: "fixed", spec: framing.Spec{Type: "fixed", Size: 32, Header: head}, payload: sized(32, head)},
		{name: "fixed crc16/ccitt", spec: framing.Spec{Type: "fixed", Size: 32, Header: head, Checksum: "crc16/ccitt"}, bits: 16,
			payload: sized(30, head)},
		{name: "fixed crc32, no header", spec: framing.Spec{Type: "fixed", Size: 32, Checksum: "crc32"}, bits: 32,
			payload: sized(28, nil)},
		{name: "length", spec: bare, payload: text, swallow: 1024, fast: true},
		{name: "length crc24q (RTCM3)", spec: rtcm, bits: 24, payload: binaryData, fast: true},
		{name: "length sum15 (SiRF)", spec: sirf, bits: 15, payload: binaryData, fast: true},
		{name: "length crc32, no header", spec: wide, bits: 32, payload: binaryData, fast: true},
		{name: "cobs", spec: framing.Spec{Type: "cobs"}, payload: binaryData, fast: true},
		{name: "cobs crc16/modbus", spec: framing.Spec{Type: "cobs", Checksum: "crc16/modbus"}, bits: 16, payload: binaryData,
			fast: true},
		{name: "slip", spec: framing.Spec{Type: "slip"}, payload: binaryData, fast: true},
		{name: "slip crc16/ccitt", spec: framing.Spec{Type: "slip", Checksum: "crc16/ccitt"}, bits: 16, payload: binaryData,
			fast: true},
		{name: "stx_etx", spec: framing.Spec{Type: "stx_etx"}, payload: text},
		{name: "stx_etx xor8", spec: framing.Spec{Type: "stx_etx", Checksum: "xor8"}, bits: 8, payload: text},
		{name: "stx_etx dle lrc", spec: framing.Spec{Type: "stx_etx", DLE: true, Checksum: "lrc"}, bits: 8, payload: binaryData},
		{name: "stx_etx dle sum16", spec: framing.Spec{Type: "stx_etx", DLE: true, Checksum: "sum16"}, bits: 16,
			payload: binaryData},
		{name: "modbus_rtu", spec: rtu, bits: 16, payload: modbus, silence: 4 * time.Millisecond, tear: 1700 * time.Microsecond},
		{name: "modbus_rtu, USB", spec: rtu, bits: 16, payload: modbus, silence: 4 * time.Millisecond,
			tear: 16 * time.Millisecond, torn: true},
		{name: "nmea", spec: framing.Spec{Type: "nmea"}, bits: 8, payload: sentence},
	}
}

// falseGoal is how many false frames chance may let through.
func (c framer) falseGoal(r result) float64 {
	mean := float64(r.checks-int64(r.matched)) * math.Exp2(-float64(c.bits))
	return mean + 3*math.Sqrt(mean)
}

// maker makes payloads, no two alike.
type maker struct {
	*rand.Rand
	seq uint64
	buf []byte
}

func newMaker(seed uint64) *maker {
	return &maker{Rand: rand.New(rand.NewPCG(seed, 0x6c6162)), buf: make([]byte, 0, 2048)}
}

// fill appends n random bytes.
func (m *maker) fill(dst []byte, n int) []byte {
	end := len(dst) + n
	for len(dst) < end {
		dst = binary.LittleEndian.AppendUint64(dst, m.Uint64())
	}
	return dst[:end]
}

// length is mostly short, and now and then long.
func (m *maker) length() int {
	if m.IntN(64) == 0 {
		return m.IntN(900)
	}
	return m.IntN(112)
}

// number is different for every payload.
func (m *maker) number(dst []byte) []byte {
	m.seq++
	return binary.BigEndian.AppendUint64(dst, m.seq<<16|uint64(m.Uint32()&0xffff))
}

func binaryData(m *maker) []byte {
	m.buf = m.fill(m.number(m.buf[:0]), m.length())
	return m.buf
}

// digits are 64 characters that mean nothing to any framing.
const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789,."

func (m *maker) text(dst []byte, n int) []byte {
	m.seq++
	dst = fmt.Appendf(dst, "%08x", m.seq)
	from := len(dst)
	dst = m.fill(dst, n+8) // so that no wrong bit makes another's number
	for i := from; i < len(dst); i++ {
		dst[i] = digits[dst[i]&63]
	}
	return dst
}

func text(m *maker) []byte {
	m.buf = m.text(m.buf[:0], m.length())
	return m.buf
}

// eightBit has no line ends. Text would not do: its bytes share a bit, and so do their sums, which leaves 7 bits of the 8.
func eightBit(m *maker) []byte {
	p := binaryData(m)
	for i, b := range p {
		if b == '\r' || b == '\n' {
			p[i] = ' '
		}
	}
	return p
}

func sized(size int, header []byte) func(*maker) []byte {
	return func(m *maker) []byte {
		m.buf = m.text(append(m.buf[:0], header...), size)[:size]
		return m.buf
	}
}

func sentence(m *maker) []byte {
	m.buf = m.text(append(m.buf[:0], "$GPLAB,"...), m.IntN(60))
	return m.buf
}

// modbus makes answers of reads and requests of writes.
func modbus(m *maker) []byte {
	n := 8 + 2*m.IntN(60)
	unit := byte(1 + m.IntN(247))
	if m.IntN(2) == 0 {
		m.buf = append(m.buf[:0], unit, 3, byte(n))
	} else {
		m.buf = append(m.buf[:0], unit, 16, byte(m.IntN(4)), byte(m.IntN(256)), 0, byte(n/2), byte(n))
	}
	m.buf = m.fill(m.number(m.buf), n-8)
	return m.buf
}
