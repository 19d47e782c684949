package transport

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/transport/faults"
)

// Control packet types of MQTT 3.1.1, table 2.1.
const (
	typeConnect    = 1
	typeConnack    = 2
	typePublish    = 3
	typePuback     = 4
	typePubrel     = 6
	typeSubscribe  = 8
	typeSuback     = 9
	typePingreq    = 12
	typePingresp   = 13
	typeDisconnect = 14
)

const (
	maxLengthBytes = 4 // of the remaining length, section 2.2.3
	maxHeader      = 1 + maxLengthBytes
	readChunk      = 16 << 10 // a packet's buffer grows by this as its bytes arrive, whatever its header promises
	subackFailure  = 0x80     // [MQTT-3.9.3-2]
)

// header is the fixed header of a packet:
//
//	 byte 1        bytes 2 to 5
//	┌──────┬──────┬──────────────────────────┐
//	│ type │flags │ remaining length, 7 bits │
//	│ 4 bit│4 bit │ a byte, low ones first   │
//	└──────┴──────┴──────────────────────────┘
type header struct {
	kind, flags byte
	size        int // of this header, in bytes; 0: b was too short to tell
	body        int // remaining length, in bytes
}

// total is the whole packet, in bytes.
func (h header) total() int { return h.size + h.body }

// parseHeader reads a fixed header from the start of b.
func parseHeader(b []byte) (header, error) {
	var h header
	if len(b) == 0 {
		return h, nil
	}
	h.kind, h.flags = b[0]>>4, b[0]&0x0f
	for i := 0; i < maxLengthBytes; i++ {
		if 1+i >= len(b) {
			return h, nil
		}
		h.body |= int(b[1+i]&0x7f) << (7 * i)
		if b[1+i]&0x80 == 0 {
			h.size = 2 + i
			return h, nil
		}
	}
	return h, faults.Nonsense("a remaining length of more than four bytes")
}

// readPacket reads the next whole packet of at most limit bytes into buf, which grows as bytes arrive and is returned. It calls
// progress after each part of a packet that comes in several. The packet was checked by checkInbound.
func readPacket(r *bufio.Reader, limit int, buf []byte, progress func()) ([]byte, header, error) {
	h, err := readHeader(r)
	if err != nil {
		return buf[:0], h, err
	}
	if err := checkHeader(h, limit); err != nil {
		return buf[:0], h, err
	}
	for buf = buf[:0]; len(buf) < h.total(); {
		have := len(buf)
		n := min(h.total()-have, readChunk)
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(r, buf[have:]); err != nil {
			return buf[:0], h, unexpected(err)
		}
		if len(buf) < h.total() {
			progress()
		}
	}
	return buf, h, checkInbound(h, buf[h.size:])
}

// readHeader peeks, so that the header stays part of the packet.
func readHeader(r *bufio.Reader) (header, error) {
	for n := 2; ; n++ {
		b, err := r.Peek(n)
		if err != nil {
			if len(b) > 0 {
				err = unexpected(err)
			}
			return header{}, err
		}
		if h, err := parseHeader(b); err != nil || h.size > 0 {
			return h, err
		}
	}
}

// unexpected is err, or io.ErrUnexpectedEOF for an end in the middle of a packet.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkHeader refuses what a server may not send to us before its body has come, and perhaps never does: a web server's
// answer, say, begins like a long PUBACK.
func checkHeader(h header, limit int) error {
	flags, body := byte(0), 2
	switch h.kind {
	case typePublish:
		flags, body = h.flags, h.body
	case typeSuback:
		body = max(h.body, 3)
	case typePingresp:
		body = 0
	case typePubrel:
		flags = 2 // [MQTT-3.6.1-1]
	case typeConnack, typePuback:
	default:
		return faults.Nonsense("a packet of type %d", h.kind)
	}
	if h.flags != flags || h.body != body {
		return faults.Nonsense("a packet of type %d with flags %d and %d bytes", h.kind, h.flags, h.total())
	}
	if h.kind == typePublish && h.total() > limit {
		return errOversized
	}
	if h.total() > limit {
		return faults.Nonsense("a packet of %d bytes, more than the limit of %d", h.total(), limit)
	}
	return nil
}

// checkInbound refuses a body, above all what the library would fall over. checkHeader has accepted its header.
func checkInbound(h header, body []byte) error {
	switch h.kind {
	case typePublish:
		return checkPublish(h, body)
	case typeSuback:
		return checkSuback(h, body)
	case typeConnack:
		if body[0] > 1 || body[1] > 5 {
			return faults.Nonsense("a CONNACK of % x", body)
		}
	case typePuback, typePubrel:
		if packetID(body) == 0 {
			return faults.Nonsense("a packet of type %d with the identifier 0", h.kind)
		}
	}
	return nil
}

func checkPublish(h header, body []byte) error {
	qos := h.flags >> 1 & 3
	if qos == 3 { // [MQTT-3.3.1-4]
		return faults.Nonsense("a PUBLISH with QoS 3")
	}
	topic, rest, ok := cutString(body)
	if !ok || len(topic) == 0 || !utf8.Valid(topic) { // [MQTT-4.7.3-1], [MQTT-1.5.3-1]
		return faults.Nonsense("a PUBLISH without a valid topic")
	}
	if qos > 0 && (len(rest) < 2 || packetID(rest) == 0) { // [MQTT-2.3.1-1]
		return faults.Nonsense("a PUBLISH with QoS %d and no packet identifier", qos)
	}
	return nil
}

func checkSuback(h header, body []byte) error {
	if packetID(body) == 0 {
		return faults.Nonsense("a SUBACK with the identifier 0")
	}
	for _, code := range body[2:] {
		if code > 2 && code != subackFailure { // [MQTT-3.9.3-2]
			return faults.Nonsense("a SUBACK with code %d", code)
		}
	}
	return nil
}

// cutString cuts a string of two length bytes off the front of b (section 1.5.3).
func cutString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

func packetID(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

// outbound is what the conn must know of a packet that the library writes.
type outbound struct {
	kind    byte
	qos     byte   // of PUBLISH
	id      uint16 // of PUBLISH with QoS 1, SUBSCRIBE, PUBACK
	filters int    // of SUBSCRIBE
}

// parseOutbound looks at a packet that the library made, which is therefore whole and valid.
func parseOutbound(p []byte) (outbound, error) {
	h, err := parseHeader(p)
	if err != nil || h.size == 0 || h.total() != len(p) {
		return outbound{}, fmt.Errorf("write of %d bytes is not one MQTT packet", len(p))
	}
	o, body := outbound{kind: h.kind}, p[h.size:]
	switch h.kind {
	case typePublish:
		o.qos = h.flags >> 1 & 3
		_, rest, ok := cutString(body)
		if !ok || o.qos > 0 && len(rest) < 2 {
			return o, fmt.Errorf("publish of %d bytes is cut short", len(p))
		}
		if o.qos > 0 {
			o.id = packetID(rest)
		}
	case typeSubscribe, typePuback:
		if len(body) < 2 {
			return o, fmt.Errorf("packet of type %d and %d bytes is cut short", h.kind, len(p))
		}
		o.id = packetID(body)
		o.filters = countFilters(body[2:])
	}
	return o, nil
}

func countFilters(b []byte) (n int) {
	for {
		_, rest, ok := cutString(b)
		if !ok || len(rest) < 1 {
			return n
		}
		n, b = n+1, rest[1:] // the byte is the wanted QoS
	}
}

// patchKeepalive writes the keepalive, in seconds, into a CONNECT of MQTT 3.1.1 (section 3.1.2.10):
//
//	fixed header │ 0 4 M Q T T │ level │ flags │ keepalive, 2 bytes │ payload
func patchKeepalive(p []byte, seconds uint16) ([]byte, error) {
	const offset = 2 + 4 + 1 + 1
	h, err := parseHeader(p)
	if err != nil || h.kind != typeConnect || h.body < offset+2 || len(p) < h.total() || h.size == 0 {
		return nil, fmt.Errorf("first packet of %d bytes is no CONNECT", len(p))
	}
	out := append([]byte(nil), p...)
	binary.BigEndian.PutUint16(out[h.size+offset:], seconds)
	return out, nil
}

// publishSize is the bytes on the wire of a PUBLISH with so many bytes of payload.
func publishSize(topic string, payload int, qos byte) int {
	body := 2 + len(topic) + payload
	if qos > 0 {
		body += 2
	}
	size := 2
	for n := body; n >= 0x80; n >>= 7 {
		size++
	}
	return size + body
}

// errOversized says that the header just peeked is of such a PUBLISH.
var errOversized = errors.New("a PUBLISH of more than the limit")

const maxSubscribe = 8 // filters in one SUBSCRIBE: the limit of AWS IoT

func newNonce() []byte {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.AppendEncode(nil, b[:])
}
