package brokertest

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
)

// Deed is what a Front does with a publish.
type Deed int

// What a Front does with a publish.
const (
	Pass    Deed = iota
	HangUp       // it closes the connection, as AWS does
	Swallow      // it acknowledges, and the broker never gets it
)

// Front stands before a broker and spoils it: for refusals that mosquitto cannot be told to make.
type Front struct {
	Old      bool                               // it does not know MQTT 5
	Connect  func(c Connect) bool               // false: it closes the connection at the CONNECT; nil: all may
	Publish  func(clientID, topic string) Deed  // nil: all pass
	Retained func(topic string) Deed            // before Publish, with what is to be kept and not empty; nil: all pass
	Sized    func(topic string, bytes int) Deed // before Publish, with the size of the packet; nil: all pass
	Listens  func(clientID, filter string) bool // false: it closes the connection at the SUBSCRIBE; nil: all may
}

// Connect is what a CONNECT asks for.
type Connect struct {
	Clean, Will, WillRetain bool
	Keepalive               int // seconds
}

// deed is what happens to a publish.
func (f Front) deed(kind byte, clientID, topic string, body []byte) Deed {
	if f.Retained != nil && kind&1 > 0 && len(body) > 4+len(topic) {
		if d := f.Retained(topic); d != Pass {
			return d
		}
	}
	if f.Sized != nil {
		if d := f.Sized(topic, len(body)); d != Pass {
			return d
		}
	}
	if f.Publish != nil {
		return f.Publish(clientID, topic)
	}
	return Pass
}

// Listen returns the address of a Front before the broker at addr, until the test ends.
func (f Front) Listen(t testing.TB, addr string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				b, err := net.Dial("tcp", addr)
				if err != nil {
					return
				}
				defer b.Close()
				ours := &ownWriter{w: c}
				all.Go(func() { _, _ = io.Copy(ours, b); _ = c.Close() })
				f.serve(bufio.NewReader(c), ours, b)
			})
		}
	})
	return l.Addr().String()
}

// ownWriter keeps our acknowledgements apart from the broker's packets, which come whole as long as they are small.
type ownWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (o *ownWriter) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.w.Write(p)
}

// serve passes on what comes, packet by packet, until one is not to pass.
func (f Front) serve(r *bufio.Reader, client, broker io.Writer) {
	var clientID string
	var level byte
	for {
		kind, body, err := packetOf(r)
		if err != nil {
			return
		}
		switch kind >> 4 {
		case 1:
			if clientID = clientOf(body); f.Old && body[6] == 5 {
				_, _ = client.Write([]byte{0x20, 2, 0, 1})
				return
			}
			if level = body[6]; f.Connect != nil && !f.Connect(Connect{Clean: body[7]&2 > 0, Will: body[7]&4 > 0,
				WillRetain: body[7]&32 > 0, Keepalive: int(binary.BigEndian.Uint16(body[8:]))}) {
				return
			}
		case 3:
			topic, rest := stringOf(body)
			deed := f.deed(kind, clientID, topic, body)
			if deed == HangUp {
				return
			}
			if deed == Swallow {
				if kind>>1&3 > 0 {
					_, _ = client.Write([]byte{0x40, 2, rest[0], rest[1]})
				}
				continue
			}
		}
		if kind>>4 == 8 && f.Listens != nil && !f.allListen(clientID, level, body) {
			return
		}
		packet := binary.AppendUvarint([]byte{kind}, uint64(len(body)))
		if _, err := broker.Write(append(packet, body...)); err != nil {
			return
		}
	}
}

func (f Front) allListen(clientID string, level byte, body []byte) bool {
	rest := body[2:]
	if level == 5 {
		rest = rest[1:] // no properties
	}
	for len(rest) > 0 {
		var filter string
		if filter, rest = stringOf(rest); !f.Listens(clientID, filter) {
			return false
		}
		rest = rest[1:]
	}
	return true
}

func packetOf(r *bufio.Reader) (kind byte, body []byte, err error) {
	if kind, err = r.ReadByte(); err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, nil, err
	}
	body = make([]byte, n)
	_, err = io.ReadFull(r, body)
	return kind, body, err
}

// stringOf takes the string off that b begins with.
func stringOf(b []byte) (string, []byte) {
	n := 2 + int(binary.BigEndian.Uint16(b))
	return string(b[2:n]), b[n:]
}

// clientOf is the client id of a CONNECT.
func clientOf(body []byte) string {
	_, rest := stringOf(body)
	level, rest := rest[0], rest[4:]
	if level == 5 {
		n, size := binary.Uvarint(rest)
		rest = rest[size+int(n):]
	}
	id, _ := stringOf(rest)
	return id
}
