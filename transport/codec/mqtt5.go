package codec

import (
	"bufio"
	"encoding/binary"
	"io"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/faults"
)

// The library speaks MQTT 3.1.1 alone. The few packets of MQTT 5 that a second opinion needs have no properties (a 00 each), so
// they are written here:
//
//	CONNECT  00 04 M Q T T │ 05 │ flags │ keepalive │ 00 │ client id │ user name │ password
//	CONNACK  flags │ reason │ properties
//	PUBLISH  topic │ packet identifier │ 00 │ payload
//	PUBACK   packet identifier │ reason, if not 0 │ …
//	SUBSCRIBE  packet identifier │ 00 │ filter │ options │ filter │ …
//	SUBACK   packet identifier │ properties │ a reason for each filter

// Failure5 is the lowest reason of MQTT 5 that is a failure (its section 2.4).
const Failure5 = 0x80

// TooLarge5 is the reason of MQTT 5 for a packet that is larger than the server takes (its section 2.4).
const TooLarge5 = 0x95

const (
	level5       = 5
	flagClean    = 0x02
	flagPassword = 0x40
	flagUser     = 0x80
	noRetained   = 0x20    // an option of SUBSCRIBE: retain handling 2, send what is retained to nobody (its section 3.8.3.1)
	maxConnack5  = 4 << 10 // bytes; its properties have a few texts (its section 3.2.2.3)
)

// Packet5 is a whole packet of MQTT 5, as bytes.
type Packet5 []byte

// Write writes it with one Write.
func (p Packet5) Write(w io.Writer) error {
	_, err := w.Write(p)
	return err
}

// Connect5 is hello, of a clean session, in MQTT 5 (its section 3.1).
func Connect5(hello *packets.ConnectPacket) Packet5 {
	flags := byte(flagClean)
	if hello.UsernameFlag {
		flags |= flagUser
	}
	if hello.PasswordFlag {
		flags |= flagPassword
	}
	b := append(text5(nil, "MQTT"), level5, flags)
	b = append(binary.BigEndian.AppendUint16(b, hello.Keepalive), 0)
	b = text5(b, hello.ClientIdentifier)
	if hello.UsernameFlag {
		b = text5(b, hello.Username)
	}
	if hello.PasswordFlag {
		b = text5(b, string(hello.Password))
	}
	return packet5(TypeConnect, 0, b)
}

// Publish5 is a PUBLISH of MQTT 5 that is not retained (its section 3.3); id is left out for QoS 0.
func Publish5(topic string, id uint16, qos byte, payload []byte) Packet5 {
	b := text5(nil, topic)
	if qos > 0 {
		b = binary.BigEndian.AppendUint16(b, id)
	}
	return packet5(TypePublish, qos<<1, append(append(b, 0), payload...))
}

// Subscribe5 is a SUBSCRIBE of MQTT 5, for QoS 0, that asks for nothing that is retained (its section 3.8).
func Subscribe5(id uint16, filters []string) Packet5 {
	b := append(binary.BigEndian.AppendUint16(nil, id), 0)
	for _, f := range filters {
		b = append(text5(b, f), noRetained)
	}
	return packet5(TypeSubscribe, 2, b) // [MQTT-3.8.1-1]
}

// PastProperties is what stands behind the properties that b begins with: their length is a varint, as that of a packet. False:
// they are longer than b.
func PastProperties(b []byte) (rest []byte, ok bool) {
	n, size := binary.Uvarint(b[:min(len(b), maxLengthBytes)])
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, false
	}
	return b[size+int(n):], true
}

// Reason5 is the reason that the body of a PUBACK of MQTT 5 gives: one that is left out is 0 (its section 3.4.2.1).
func Reason5(body []byte) byte {
	if len(body) < 3 {
		return 0
	}
	return body[2]
}

// text5 appends two bytes of length and s.
func text5(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// packet5 puts the fixed header before body.
func packet5(kind, flags byte, body []byte) Packet5 {
	b := Packet5{kind<<4 | flags}
	return append(binary.AppendUvarint(b, uint64(len(body))), body...) // the remaining length is such a varint
}

// ReadPacket5 is ReadPacket for MQTT 5: only the length is checked, as what comes is not for the library. All but PUBLISH has no
// more than a few texts as properties.
func ReadPacket5(r *bufio.Reader, limit int, buf []byte, progress func()) ([]byte, Header, error) {
	h, err := ReadHeader(r)
	if err != nil {
		return buf[:0], h, err
	}
	if h.Kind == TypePublish && h.Total() > limit {
		return buf[:0], h, ErrOversized
	}
	if h.Kind != TypePublish && h.Total() > min(limit, maxConnack5) {
		return buf[:0], h, faults.Nonsense("a packet of type %d and %d bytes", h.Kind, h.Total())
	}
	if (h.Kind == TypePuback || h.Kind == TypeSuback) && h.Body < 2 {
		return buf[:0], h, faults.Nonsense("a packet of type %d without an identifier", h.Kind)
	}
	buf, err = readWhole(r, h, buf, progress)
	return buf, h, err
}
