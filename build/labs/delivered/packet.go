package delivered

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"time"
)

// Kinds of packets that a front looks into [MQTT 3.1.1 table 2.1, MQTT 5 table 2-1].
const (
	kindConnect   = 1
	kindConnAck   = 2
	kindPublish   = 3
	kindPubAck    = 4
	kindSubscribe = 8
)

const version5 = 5

// packet is one with its fixed header.
type packet struct {
	head byte
	body []byte
}

func (p packet) kind() byte { return p.head >> 4 }

func (p packet) bytes() []byte {
	return append(binary.AppendUvarint([]byte{p.head}, uint64(len(p.body))), p.body...)
}

func readPacket(r *bufio.Reader) (p packet, err error) {
	if p.head, err = r.ReadByte(); err != nil {
		return p, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return p, err
	}
	if n > 1<<28 {
		return p, errors.New("malformed length")
	}
	p.body = make([]byte, n)
	_, err = io.ReadFull(r, p.body)
	return p, err
}

// fields takes a packet's body apart.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) take(n int) []byte {
	if n < 0 || n > len(f.rest) {
		f.bad, f.rest = true, nil
		return make([]byte, max(n, 0))
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) number() int { return int(binary.BigEndian.Uint16(f.take(2))) }

func (f *fields) text() string { return string(f.take(f.number())) }

func (f *fields) properties() {
	n, size := binary.Uvarint(f.rest)
	f.take(max(size, 0))
	f.take(int(n))
}

// hello is what a CONNECT says.
type hello struct {
	id               string
	level            byte
	keepalive        time.Duration
	will, willRetain bool
	clean            bool
}

func helloOf(p packet) hello {
	f := fields{rest: p.body}
	_ = f.text()
	h := hello{level: f.take(1)[0]}
	flags := f.take(1)[0]
	h.clean, h.will, h.willRetain = flags&2 > 0, flags&4 > 0, flags&0x20 > 0
	h.keepalive = time.Duration(f.number()) * time.Second
	if h.level == version5 {
		f.properties()
	}
	h.id = f.text()
	return h
}

// pub is what a PUBLISH says.
type pub struct {
	topic  string
	id     int // 0: QoS 0
	retain bool
	again  bool
	size   int // of the packet's body
}

func pubOf(p packet) pub {
	f := fields{rest: p.body}
	m := pub{topic: f.text(), retain: p.head&1 > 0, again: p.head&8 > 0, size: len(p.body)}
	if p.head>>1&3 > 0 {
		m.id = f.number()
	}
	return m
}

func pubAck(id int) []byte {
	return binary.BigEndian.AppendUint16([]byte{kindPubAck << 4, 2}, uint16(id))
}

func str(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// connect is a CONNECT of MQTT 3.1.1 that says nothing but who it is.
func connect(id string, clean bool) []byte {
	flags := byte(0)
	if clean {
		flags = 2
	}
	body := append(str("MQTT"), 4, flags, 0, 60)
	return packet{kindConnect << 4, append(body, str(id)...)}.bytes()
}

// refusal is a CONNACK that says: not authorised.
func refusal(h hello) []byte {
	if h.level == version5 {
		return []byte{kindConnAck << 4, 3, 0, 0x87, 0}
	}
	return []byte{kindConnAck << 4, 2, 0, 5}
}
