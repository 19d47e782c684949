// Package pcap reads what tcpdump wrote, puts TCP's streams together again and sorts their bytes by what MQTT used them for. It
// knows nothing of linkbeat's own accounting: it is what that is judged by.
package pcap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// The classic format of libpcap, as tcpdump -w writes it on Linux, all in the writer's byte order:
//
//	file:   magic 4 | version 2+2 | zone 4 | sigfigs 4 | snaplen 4 | linktype 4
//	packet: seconds 4 | micro- or nanoseconds 4 | captured 4 | length 4 | data
const (
	magicMicro = 0xa1b2c3d4
	magicNano  = 0xa1b23c4d
	fileHeader = 24
	packHeader = 16
	ethernet   = 1 // LINKTYPE_ETHERNET
	etherLen   = 14
	etherIPv4  = 0x0800
	protoTCP   = 6
)

// Segment is one TCP segment of IPv4.
type Segment struct {
	At       time.Time
	From, To netip.AddrPort
	Seq, Ack uint32
	SYN, FIN bool
	RST      bool
	Length   int // of the IP packet, headers included
	Payload  []byte
}

// Read returns the segments of a capture, in order. A packet that was cut short at the end of the file ends it.
func Read(r io.Reader) ([]Segment, error) {
	var head [fileHeader]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, fmt.Errorf("capture: header: %w", err)
	}
	order, unit, err := magic(head)
	if err != nil {
		return nil, err
	}
	if link := order.Uint32(head[20:]); link != ethernet {
		return nil, fmt.Errorf("capture: link type %d, want Ethernet", link)
	}
	var all []Segment
	for {
		var h [packHeader]byte
		if _, err := io.ReadFull(r, h[:]); err != nil {
			return all, nil // the end, or a header cut short there
		}
		data := make([]byte, order.Uint32(h[8:]))
		if _, err := io.ReadFull(r, data); err != nil {
			return all, nil
		}
		at := time.Unix(int64(order.Uint32(h[0:])), int64(order.Uint32(h[4:]))*unit)
		if s, ok := parse(data); ok {
			s.At = at
			all = append(all, s)
		}
	}
}

func magic(head [fileHeader]byte) (binary.ByteOrder, int64, error) {
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		switch order.Uint32(head[:]) {
		case magicMicro:
			return order, int64(time.Microsecond), nil
		case magicNano:
			return order, 1, nil
		}
	}
	return nil, 0, errors.New("capture: not a file of the classic pcap format")
}

// parse takes an Ethernet frame apart; ok is false for what is not TCP over IPv4.
func parse(b []byte) (s Segment, ok bool) {
	if len(b) < etherLen+20 || binary.BigEndian.Uint16(b[12:]) != etherIPv4 {
		return s, false
	}
	ip := b[etherLen:]
	header, total := int(ip[0]&0x0f)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if ip[9] != protoTCP || total > len(ip) || total < header+20 { // shorter ones are padded by Ethernet
		return s, false
	}
	tcp := ip[header:total]
	offset := int(tcp[12]>>4) * 4
	if offset > len(tcp) {
		return s, false
	}
	from, to := netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	return Segment{
		From: netip.AddrPortFrom(from, binary.BigEndian.Uint16(tcp[0:])), To: netip.AddrPortFrom(to,
			binary.BigEndian.Uint16(tcp[2:])), Seq: binary.BigEndian.Uint32(tcp[4:]), Ack: binary.BigEndian.Uint32(tcp[8:]),
		FIN: tcp[13]&1 != 0, SYN: tcp[13]&2 != 0, RST: tcp[13]&4 != 0, Length: total, Payload: tcp[offset:],
	}, true
}
