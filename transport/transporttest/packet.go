package transporttest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// Packet types of MQTT 3.1.1, section 2.2.1, as the first byte without flags.
const (
	typeConnect     = 0x10
	typeConnack     = 0x20
	typePublish     = 0x30
	typePuback      = 0x40
	typePubrec      = 0x50
	typePubrel      = 0x60
	typePubcomp     = 0x70
	typeSubscribe   = 0x80
	typeSuback      = 0x90
	typeUnsubscribe = 0xa0
	typeUnsuback    = 0xb0
	typePingreq     = 0xc0
	typePingresp    = 0xd0
	typeDisconnect  = 0xe0
)

var errMalformed = errors.New("malformed packet")

// maxPacket is the longest packet that the broker takes, in bytes.
const maxPacket = 1 << 20

// readPacket reads one packet: its first byte and what follows the length. hello: nothing but CONNECT will do.
func readPacket(r *bufio.Reader, hello bool) (first byte, body []byte, err error) {
	if first, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	if hello && first != typeConnect {
		return 0, nil, errMalformed // [MQTT-3.1.0-1]
	}
	n, err := binary.ReadUvarint(r) // MQTT's Remaining Length is the same code
	if err != nil {
		return 0, nil, err
	}
	if n > maxPacket {
		return 0, nil, errMalformed
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return first, body, err
}

// appendPacket adds a packet made of parts.
func appendPacket(dst []byte, first byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	dst = binary.AppendUvarint(append(dst, first), uint64(n))
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// text is a string with its length before it.
func text(s string) []byte { return append(number(uint16(len(s))), s...) }

func number(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }

// fields reads the parts of a body in turn; bad says whether there was too little of it.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) bytes(n int) []byte {
	if n > len(f.rest) {
		f.bad, f.rest = true, nil
		return make([]byte, n)
	}
	p := f.rest[:n]
	f.rest = f.rest[n:]
	return p
}

func (f *fields) byte() byte     { return f.bytes(1)[0] }
func (f *fields) number() uint16 { return binary.BigEndian.Uint16(f.bytes(2)) }
func (f *fields) text() string   { return string(f.bytes(int(f.number()))) }

// Connect is what a client said when it connected.
type Connect struct {
	ClientID  string
	Clean     bool
	Keepalive uint16 // seconds
	Username  string
	Password  string
	Will      *Message
}

func parseConnect(body []byte) (c Connect, err error) {
	f := fields{rest: body}
	if f.text() != "MQTT" || f.byte() != 4 {
		return c, errMalformed
	}
	flags := f.byte()
	c.Clean, c.Keepalive, c.ClientID = flags&2 != 0, f.number(), f.text()
	if flags&4 != 0 {
		c.Will = &Message{Topic: f.text(), Payload: []byte(f.text()), QoS: flags >> 3 & 3, Retain: flags&0x20 != 0}
	}
	if flags&0x80 != 0 {
		c.Username = f.text()
	}
	if flags&0x40 != 0 {
		c.Password = f.text()
	}
	if f.bad {
		return c, errMalformed
	}
	return c, nil
}

// Message is a publish. QoS 2 is not spoken here.
type Message struct {
	Topic   string
	Payload []byte
	QoS     byte
	Retain  bool
	Dup     bool
	From    string // client id of the publisher; empty: the broker itself
}

// parsePublish reads a PUBLISH; id is 0 with QoS 0.
func parsePublish(first byte, body []byte) (m Message, id uint16, err error) {
	f := fields{rest: body}
	m = Message{QoS: first >> 1 & 3, Retain: first&1 != 0, Dup: first&8 != 0, Topic: f.text()}
	if m.QoS > 0 {
		id = f.number()
	}
	if m.Payload = f.rest; f.bad || m.QoS > 1 || m.Topic == "" {
		return m, id, errMalformed
	}
	return m, id, nil
}

// encode returns m as a PUBLISH.
func (m Message) encode(id uint16) []byte {
	first := byte(typePublish) | m.QoS<<1
	if m.Retain {
		first |= 1
	}
	if m.Dup {
		first |= 8
	}
	if m.QoS == 0 {
		return appendPacket(nil, first, text(m.Topic), m.Payload)
	}
	return appendPacket(nil, first, text(m.Topic), number(id), m.Payload)
}
