package pcap

import (
	"encoding/binary"
	"time"
)

// The packet types of MQTT 3.1.1, table 2.1.
const (
	Connect    = 1
	Connack    = 2
	Publish    = 3
	Puback     = 4
	Pingreq    = 12
	Pingresp   = 13
	Disconnect = 14
)

// Packet is one MQTT packet, at the time when its last byte passed.
type Packet struct {
	At       time.Time
	Type     byte
	Length   int    // header included
	Topic    string // of a PUBLISH
	ID       uint16 // of a PUBLISH with QoS 1 and of a PUBACK; else 0
	ClientID string // of a CONNECT
}

// splitter cuts a stream into packets.
type splitter struct{ held []byte }

func (s *splitter) feed(at time.Time, p []byte) (all []Packet) {
	s.held = append(s.held, p...)
	for {
		n, head := frame(s.held)
		if n == 0 || n > len(s.held) {
			return all
		}
		k := read(s.held[0], s.held[head:n])
		k.At, k.Length = at, n
		all = append(all, k)
		s.held = s.held[n:]
	}
}

// frame returns the length of the packet at the beginning of b and of its fixed header [MQTT-2.2.3]; 0 when it is not known yet.
func frame(b []byte) (length, header int) {
	rest, shift := 0, 0
	for i := 1; i < len(b) && i <= 4; i++ {
		rest |= int(b[i]&0x7f) << shift
		shift += 7
		if b[i]&0x80 == 0 {
			return 1 + i + rest, 1 + i
		}
	}
	return 0, 0
}

func read(first byte, body []byte) Packet {
	k := Packet{Type: first >> 4}
	switch k.Type {
	case Connect: // protocol name, level, flags, keepalive, client id
		if _, rest := text(body); len(rest) > 4 {
			k.ClientID, _ = text(rest[4:])
		}
	case Publish:
		var rest []byte
		if k.Topic, rest = text(body); first>>1&3 > 0 && len(rest) >= 2 {
			k.ID = binary.BigEndian.Uint16(rest)
		}
	case Puback:
		if len(body) >= 2 {
			k.ID = binary.BigEndian.Uint16(body)
		}
	}
	return k
}

func text(b []byte) (string, []byte) {
	if len(b) < 2 {
		return "", nil
	}
	n := int(binary.BigEndian.Uint16(b))
	if len(b) < 2+n {
		return "", nil
	}
	return string(b[2 : 2+n]), b[2+n:]
}

// ClientID of the connection's CONNECT; empty when there was none.
func (c *Conn) ClientID() string {
	for _, p := range c.Up {
		if p.Type == Connect {
			return p.ClientID
		}
	}
	return ""
}

// First returns when the first packet of a type passed, in the order of the list; zero when none did.
func First(packets []Packet, kind byte) time.Time {
	for _, p := range packets {
		if p.Type == kind {
			return p.At
		}
	}
	return time.Time{}
}
