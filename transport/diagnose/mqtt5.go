package diagnose

import (
	"bufio"
	"context"
	"encoding/binary"
	"io"
	"net"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// The second opinion of an echo test: MQTT 5 acknowledges with a reason (its section 3.4.2.1), where 3.1.1 cannot. All on a
// session of its own; the packets are few and have no properties, so they are written here:
//
//	CONNECT  00 04 M Q T T │ 05 │ flags │ keepalive │ 00 │ client id │ user name │ password
//	CONNACK  flags │ reason │ properties
//	PUBLISH  topic │ packet identifier │ 00 │ payload
//	PUBACK   packet identifier │ reason, if not 0 │ …

const (
	level5       = 5
	failure5     = 0x80 // reasons from here on are failures
	packetMax5   = 64 << 10
	keepalive5   = codec.CheckKeepalive
	flagClean    = 0x02
	flagPassword = 0x40
	flagUser     = 0x80
	flagsQoS1    = 0x02 // of PUBLISH
)

// reasons asks a server that speaks MQTT 5 whether it takes a publish to each topic. It returns one reason for each, or for the
// first few, where it stopped answering.
func (e *echoer) reasons(ctx context.Context, silent []echoResult) []byte {
	e.close() // the client id is the same
	c, err := e.dial(ctx)
	if err != nil {
		return nil
	}
	defer c.Close()
	defer netdial.EndWith(ctx, c)()
	_ = c.SetDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	if body, err := ask5(c, r, connect5(e.hello), codec.TypeConnack); err != nil || len(body) < 2 || body[1] != 0 {
		return nil
	}
	var reasons []byte
	for i, h := range silent {
		body, err := ask5(c, r, publish5(h.topic.Topic, uint16(i+1), echoPayload()), codec.TypePuback)
		if err != nil {
			return reasons
		}
		reasons = append(reasons, append(body, 0, 0, 0)[2]) // a reason that is left out is 0
	}
	_, _ = c.Write([]byte{codec.TypeDisconnect << 4, 0})
	return reasons
}

func connect5(hello *packets.ConnectPacket) []byte {
	flags := byte(flagClean)
	if hello.UsernameFlag {
		flags |= flagUser
	}
	if hello.PasswordFlag {
		flags |= flagPassword
	}
	b := append(text5(nil, "MQTT"), level5, flags, 0, keepalive5, 0)
	b = text5(b, hello.ClientIdentifier)
	if hello.UsernameFlag {
		b = text5(b, hello.Username)
	}
	if hello.PasswordFlag {
		b = text5(b, string(hello.Password))
	}
	return packet5(codec.TypeConnect, 0, b)
}

func publish5(topic string, id uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(text5(nil, topic), id)
	return packet5(codec.TypePublish, flagsQoS1, append(append(b, 0), payload...))
}

// text5 appends two bytes of length and s.
func text5(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// packet5 puts the fixed header before body.
func packet5(kind, flags byte, body []byte) []byte {
	b := []byte{kind<<4 | flags}
	return append(binary.AppendUvarint(b, uint64(len(body))), body...) // the remaining length is such a varint
}

// ask5 sends p, reads past others to a packet of kind, and returns its body.
func ask5(c net.Conn, r *bufio.Reader, p []byte, kind byte) ([]byte, error) {
	if _, err := c.Write(p); err != nil {
		return nil, err
	}
	for {
		h, err := codec.ReadHeader(r)
		if err != nil {
			return nil, err
		}
		if h.Total() > packetMax5 {
			return nil, codec.ErrOversized
		}
		answer := make([]byte, h.Total())
		if _, err := io.ReadFull(r, answer); err != nil {
			return nil, err
		}
		if h.Kind == kind {
			return answer[h.Size:], nil
		}
	}
}
