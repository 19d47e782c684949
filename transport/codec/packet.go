// Package codec reads and writes the few MQTT packets that are not left to the library: it checks whatever a server sends before
// the library sees it, looks at what the library writes, and makes the packets of short sessions of our own. Bytes come in,
// packets and faults go out; it holds no connection and no state.
package codec

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/transport/faults"
)

// Control packet types of MQTT 3.1.1, table 2.1.
const (
	TypeConnect   = 1
	TypeConnack   = 2
	TypePublish   = 3
	TypePuback    = 4
	TypePubrec    = 5
	TypePubrel    = 6
	TypePubcomp   = 7
	TypeSubscribe = 8
	TypeSuback    = 9

	TypeUnsubscribe = 10
	TypeUnsuback    = 11

	TypePingreq    = 12
	TypePingresp   = 13
	TypeDisconnect = 14
)

// MaxSubscribe is how many filters go into one SUBSCRIBE: the limit of AWS IoT.
const MaxSubscribe = 8

// ErrOversized says that the header just peeked is of a PUBLISH beyond the limit. Nothing of the packet was read: the caller may
// read past it, so that one message too long does not keep a gateway offline.
var ErrOversized = errors.New("a PUBLISH of more than the limit")

// Bounds of what is read, and a code of SUBACK.
const (
	maxLengthBytes = 4 // of the remaining length, section 2.2.3
	maxHeader      = 1 + maxLengthBytes
	ReadChunk      = 16 << 10 // a packet's buffer grows by this as its bytes arrive, whatever its header promises
	SubackFailure  = 0x80     // [MQTT-3.9.3-2]
	pubrelFlags    = 2        // [MQTT-3.6.1-1]
)

// Header is the fixed header of a packet:
//
//	 byte 1        bytes 2 to 5
//	┌──────┬──────┬──────────────────────────┐
//	│ type │flags │ remaining length, 7 bits │
//	│ 4 bit│4 bit │ a byte, low ones first   │
//	└──────┴──────┴──────────────────────────┘
type Header struct {
	Kind, Flags byte // TypeConnect …, and the lower four bits
	Size        int  // of this header, in bytes; 0: b is too short
	Body        int  // remaining length, in bytes
}

// Total is the whole packet, in bytes.
func (h Header) Total() int { return h.Size + h.Body }

// parseHeader reads a fixed header from the start of b.
func parseHeader(b []byte) (Header, error) {
	var h Header
	if len(b) == 0 {
		return h, nil
	}
	h.Kind, h.Flags = b[0]>>4, b[0]&0x0f
	for i := 0; i < maxLengthBytes; i++ {
		if 1+i >= len(b) {
			return h, nil
		}
		h.Body |= int(b[1+i]&0x7f) << (7 * i)
		if b[1+i]&0x80 == 0 {
			h.Size = 2 + i
			return h, nil
		}
	}
	return h, faults.Nonsense("a remaining length of more than four bytes")
}

// ReadPacket reads the next whole packet of at most limit bytes into buf, which grows as bytes arrive and is returned. It calls
// progress after each part of a packet that comes in several. The packet was checked by checkInbound.
func ReadPacket(r *bufio.Reader, limit int, buf []byte, progress func()) ([]byte, Header, error) {
	h, err := ReadHeader(r)
	if err != nil {
		return buf[:0], h, err
	}
	if err := checkHeader(h, limit); err != nil {
		return buf[:0], h, err
	}
	if buf, err = readWhole(r, h, buf, progress); err != nil {
		return buf, h, err
	}
	return buf, h, checkInbound(h, buf[h.Size:])
}

// ReadConnack is ReadPacket for the first packet of a server, which is not trusted yet: nothing but a CONNACK is read
// [MQTT-3.2.0-1]. That of MQTT 5 has properties, and is not checked any further.
func ReadConnack(r *bufio.Reader, buf []byte, mqtt5 bool) ([]byte, Header, error) {
	h, err := ReadHeader(r)
	switch {
	case err != nil:
	case h.Kind != TypeConnack, h.Total() > maxConnack5:
		err = faults.Nonsense("a packet of type %d and %d bytes instead of CONNACK", h.Kind, h.Total())
	case !mqtt5:
		err = checkHeader(h, maxConnack5)
	}
	if err == nil {
		buf, err = readWhole(r, h, buf, func() {})
	}
	switch {
	case err != nil:
		return buf[:0], h, err
	case mqtt5:
		return buf, h, nil
	}
	return buf, h, checkInbound(h, buf[h.Size:])
}

// readWhole reads the packet whose header was peeked at.
func readWhole(r *bufio.Reader, h Header, buf []byte, progress func()) ([]byte, error) {
	for buf = buf[:0]; len(buf) < h.Total(); {
		have := len(buf)
		n := min(h.Total()-have, ReadChunk)
		buf = append(buf, make([]byte, n)...)
		if _, err := io.ReadFull(r, buf[have:]); err != nil {
			return buf[:0], UnexpectedEOF(err)
		}
		if len(buf) < h.Total() {
			progress()
		}
	}
	return buf, nil
}

// ReadHeader peeks at the next fixed header, so that the header stays part of the packet.
func ReadHeader(r *bufio.Reader) (Header, error) {
	for n := 2; ; n++ {
		b, err := r.Peek(n)
		if err != nil {
			if len(b) > 0 {
				err = UnexpectedEOF(err)
			}
			return Header{}, err
		}
		if h, err := parseHeader(b); err != nil || h.Size > 0 {
			return h, err
		}
	}
}

// UnexpectedEOF is err, or io.ErrUnexpectedEOF for an end in the middle of a packet.
func UnexpectedEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkHeader refuses what a server may not send to us before its body has come, and perhaps never does: a web server's
// answer, say, begins like a long PUBACK.
func checkHeader(h Header, limit int) error {
	flags, body := byte(0), 2
	switch h.Kind {
	case TypePublish:
		flags, body = h.Flags, h.Body
	case TypeSuback:
		body = min(max(h.Body, 3), 2+MaxSubscribe) // a code for each filter of ours [MQTT-3.8.4-5]
	case TypePingresp:
		body = 0
	case TypePubrel:
		flags = pubrelFlags
	case TypeConnack, TypePuback, TypePubrec, TypePubcomp, TypeUnsuback:
	default:
		return faults.Nonsense("a packet of type %d", h.Kind)
	}
	if h.Flags != flags || h.Body != body {
		return faults.Nonsense("a packet of type %d with flags %d and %d bytes", h.Kind, h.Flags, h.Total())
	}
	if h.Kind == TypePublish && h.Total() > limit {
		return ErrOversized
	}
	if h.Total() > limit {
		return faults.Nonsense("a packet of %d bytes, more than the limit of %d", h.Total(), limit)
	}
	return nil
}

// checkInbound refuses a body, above all what would make the library panic. checkHeader has accepted its header.
func checkInbound(h Header, body []byte) error {
	switch h.Kind {
	case TypePublish:
		return checkPublish(h, body)
	case TypeSuback:
		return checkSuback(h, body)
	case TypeConnack:
		if body[0] > 1 || body[1] > 5 {
			return faults.Nonsense("a CONNACK of % x", body)
		}
	case TypePuback, TypePubrec, TypePubrel, TypePubcomp, TypeUnsuback:
		if PacketID(body) == 0 {
			return faults.Nonsense("a packet of type %d with the identifier 0", h.Kind)
		}
	}
	return nil
}

func checkPublish(h Header, body []byte) error {
	qos := h.Flags >> 1 & 3
	if qos == 3 { // [MQTT-3.3.1-4]
		return faults.Nonsense("a PUBLISH with QoS 3")
	}
	topic, rest, ok := CutString(body)
	if !ok || len(topic) == 0 || !utf8.Valid(topic) { // [MQTT-4.7.3-1], [MQTT-1.5.3-1]
		return faults.Nonsense("a PUBLISH without a valid topic")
	}
	if qos > 0 && (len(rest) < 2 || PacketID(rest) == 0) { // [MQTT-2.3.1-1]
		return faults.Nonsense("a PUBLISH with QoS %d and no packet identifier", qos)
	}
	return nil
}

func checkSuback(h Header, body []byte) error {
	if PacketID(body) == 0 {
		return faults.Nonsense("a SUBACK with the identifier 0")
	}
	for _, code := range body[2:] {
		if code > 2 && code != SubackFailure { // [MQTT-3.9.3-2]
			return faults.Nonsense("a SUBACK with code %d", code)
		}
	}
	return nil
}

// Acknowledge is the packet that acknowledges one with an identifier, which the library never sees: of kind TypePuback … for
// TypePublish, and what follows it (section 4.3.3).
func Acknowledge(kind byte, id uint16) (Outbound, []byte) {
	first := kind << 4
	if kind == TypePubrel {
		first |= pubrelFlags
	}
	return Outbound{Kind: kind, ID: id}, []byte{first, 2, byte(id >> 8), byte(id)}
}

// Unasked names, for people, a packet that answers nothing, with the clause of MQTT 3.1.1 by which a server may send it only as
// an answer. Exceptions: PUBREC and PUBREL, which a server may send unasked, but only once for each message.
func Unasked(kind byte) string {
	switch kind {
	case TypePuback:
		return "a PUBACK (section 3.4)"
	case TypePubrel:
		return "a PUBREL that was answered before (section 4.3.3)"
	case TypePubrec:
		return "a PUBREC that was answered before (section 4.3.3)"
	case TypePubcomp:
		return "a PUBCOMP (section 3.7)"
	case TypeSuback:
		return "a SUBACK [MQTT-3.8.4-2]"
	case TypeUnsuback:
		return "an UNSUBACK [MQTT-3.10.4-4]"
	case TypePingresp:
		return "a PINGRESP [MQTT-3.12.4-1]"
	}
	return fmt.Sprintf("a packet of type %d", kind)
}

// CutString cuts a string of two length bytes off the front of b (section 1.5.3).
func CutString(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// PacketID is the packet identifier at the start of b, which has two bytes at least.
func PacketID(b []byte) uint16 { return binary.BigEndian.Uint16(b) }

// Outbound is what a connection must know of a packet that the library writes.
type Outbound struct {
	Kind    byte   // TypeConnect …
	QoS     byte   // of PUBLISH
	ID      uint16 // of PUBLISH with QoS 1, SUBSCRIBE, UNSUBSCRIBE, PUBACK, PUBREC
	Filters int    // of SUBSCRIBE
}

// ParseOutbound looks at a packet that the library made, which is therefore whole and valid. An error says that p is not one
// packet.
func ParseOutbound(p []byte) (Outbound, error) {
	h, err := parseHeader(p)
	if err != nil || h.Size == 0 || h.Total() != len(p) {
		return Outbound{}, fmt.Errorf("write of %d bytes is not one MQTT packet", len(p))
	}
	o, body := Outbound{Kind: h.Kind}, p[h.Size:]
	switch h.Kind {
	case TypePublish:
		o.QoS = h.Flags >> 1 & 3
		_, rest, ok := CutString(body)
		if !ok || o.QoS > 0 && len(rest) < 2 {
			return o, fmt.Errorf("publish of %d bytes is cut short", len(p))
		}
		if o.QoS > 0 {
			o.ID = PacketID(rest)
		}
	case TypeSubscribe, TypeUnsubscribe, TypePuback, TypePubrec:
		if len(body) < 2 {
			return o, fmt.Errorf("packet of type %d and %d bytes is cut short", h.Kind, len(p))
		}
		o.ID = PacketID(body)
		o.Filters = countFilters(body[2:])
	}
	return o, nil
}

func countFilters(b []byte) (n int) {
	for {
		_, rest, ok := CutString(b)
		if !ok || len(rest) < 1 {
			return n
		}
		n, b = n+1, rest[1:] // the byte is the wanted QoS
	}
}

// PatchKeepalive returns p with another keepalive, in seconds, of a CONNECT of MQTT 3.1.1 (section 3.1.2.10):
//
//	fixed header │ 0 4 M Q T T │ level │ flags │ keepalive, 2 bytes │ payload
func PatchKeepalive(p []byte, seconds uint16) ([]byte, error) {
	const offset = 2 + 4 + 1 + 1
	h, err := parseHeader(p)
	if err != nil || h.Kind != TypeConnect || h.Body < offset+2 || len(p) < h.Total() || h.Size == 0 {
		return nil, fmt.Errorf("first packet of %d bytes is no CONNECT", len(p))
	}
	out := append([]byte(nil), p...)
	binary.BigEndian.PutUint16(out[h.Size+offset:], seconds)
	return out, nil
}

// PublishSize is the bytes on the wire of a PUBLISH with so many bytes of payload.
func PublishSize(topic string, payload int, qos byte) int {
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
