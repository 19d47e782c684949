package hostile

import (
	"encoding/binary"
	"errors"
	"io"
)

// Kinds of MQTT 3.1.1 packets [table 2.1].
const (
	kindConnect   = 1
	kindConnAck   = 2
	kindPublish   = 3
	kindPubAck    = 4
	kindSubscribe = 8
	kindSubAck    = 9
	kindPing      = 12
	kindPong      = 13
)

// packet is one with its fixed header.
type packet struct {
	head byte
	body []byte
}

func (p packet) kind() byte { return p.head >> 4 }

func (p packet) bytes() []byte {
	return append(append([]byte{p.head}, length(len(p.body))...), p.body...)
}

// id is the packet identifier of a PUBACK; 0: it has none.
func (p packet) id() uint16 {
	if len(p.body) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(p.body)
}

// length is the remaining length as MQTT writes it [2.2.3].
func length(n int) (b []byte) {
	for {
		digit := byte(n % 128)
		if n /= 128; n > 0 {
			b = append(b, digit|0x80)
			continue
		}
		return append(b, digit)
	}
}

// read takes one packet off a stream.
func read(r io.ByteReader, whole io.Reader) (p packet, err error) {
	if p.head, err = r.ReadByte(); err != nil {
		return p, err
	}
	n, shift := 0, 0
	for {
		b, err := r.ReadByte()
		if err != nil {
			return p, err
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			break
		}
		if shift += 7; shift > 21 {
			return p, errors.New("malformed length")
		}
	}
	p.body = make([]byte, n)
	_, err = io.ReadFull(whole, p.body)
	return p, err
}

// str is a string as MQTT writes it [1.5.3].
func str(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// publish is a PUBLISH with QoS 0, or 1 when id is not 0.
func publish(topic string, payload []byte, retained bool, id uint16) []byte {
	p := packet{head: kindPublish << 4, body: str(topic)}
	if retained {
		p.head |= 1
	}
	if id != 0 {
		p.head |= 2
		p.body = binary.BigEndian.AppendUint16(p.body, id)
	}
	p.body = append(p.body, payload...)
	return p.bytes()
}
