package hostile

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// malformed is one session with a server that is broken, or wants to break something. What it says follows from rand alone.
type malformed struct {
	rand *rand.Rand
	conf *tls.Config
}

func (m *malformed) serve(c net.Conn) {
	first := make([]byte, 1)
	if _, err := c.Read(first); err != nil {
		return
	}
	var in net.Conn = &again{Conn: c, first: first}
	if first[0] == 22 { // a ClientHello
		if m.rand.IntN(3) == 0 {
			m.junkTLS(c)
			return
		}
		t := tls.Server(in, m.conf)
		if t.Handshake() != nil {
			return
		}
		in = t
	}
	r := bufio.NewReader(in)
	if b, err := r.Peek(3); err == nil && string(b) == "GET" {
		m.web(in, r)
		return
	}
	m.mqtt(in, r, func(b []byte) []byte { return b })
}

// again is a connection whose first byte was looked at.
type again struct {
	net.Conn
	first []byte
}

func (a *again) Read(b []byte) (int, error) {
	if len(a.first) > 0 {
		n := copy(b, a.first)
		a.first = a.first[n:]
		return n, nil
	}
	return a.Conn.Read(b)
}

func (m *malformed) junk(most int) []byte {
	b := make([]byte, m.rand.IntN(most)+1)
	for i := range b {
		b[i] = byte(m.rand.Uint32())
	}
	return b
}

// junkTLS answers a ClientHello with records that are none, alerts, or messages cut short.
func (m *malformed) junkTLS(c net.Conn) {
	kinds := []byte{20, 21, 22, 23, 24, byte(m.rand.Uint32())}
	for range m.rand.IntN(5) + 1 {
		b := record(kinds[m.rand.IntN(len(kinds))], m.junk(300))
		if m.rand.IntN(3) == 0 {
			binary.BigEndian.PutUint16(b[3:], uint16(m.rand.Uint32()))
		}
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// web answers an upgrade well or badly, and then speaks in frames that are well made or not.
func (m *malformed) web(c net.Conn, r *bufio.Reader) {
	q, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	sum := sha1.Sum([]byte(q.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	accept := base64.StdEncoding.EncodeToString(sum[:])
	good := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: mqtt\r\n" +
		"Sec-WebSocket-Accept: " + accept + "\r\n\r\n"
	switch m.rand.IntN(8) {
	case 0:
		_, _ = c.Write(m.junk(500))
		return
	case 1:
		_, _ = fmt.Fprintf(c, "HTTP/1.1 %d %s\r\nX: y\r\n\r\n", m.rand.IntN(1000), m.junk(50))
		return
	case 2:
		_, _ = c.Write([]byte(good)[:m.rand.IntN(len(good))])
		return
	case 3:
		_, _ = c.Write(bytes.Replace([]byte(good), []byte(accept), []byte("wrong"), 1))
		return
	}
	if _, err := c.Write([]byte(good)); err != nil {
		return
	}
	m.mqtt(c, bufio.NewReader(&unframed{r: r}), m.framed)
}

// framed puts bytes into a frame of RFC 6455, or into something like one.
func (m *malformed) framed(b []byte) []byte {
	head := byte(0x82)
	switch m.rand.IntN(12) {
	case 0:
		head = byte(m.rand.Uint32())
	case 1: // a control frame that is too long
		head = 0x80 | byte(8+m.rand.IntN(3))
	case 2: // text
		head = 0x81
	case 3: // not the last one
		head = 0x02
	case 4: // a length that never comes
		return append([]byte{0x82, 127, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, b...)
	case 5: // masked, which a server must not
		return append([]byte{0x82, 0x80 | byte(min(len(b), 125)), 1, 2, 3, 4}, b...)
	}
	switch {
	case len(b) < 126:
		return append([]byte{head, byte(len(b))}, b...)
	default:
		return append(binary.BigEndian.AppendUint16([]byte{head, 126}, uint16(len(b))), b...)
	}
}

// unframed takes a client's frames apart, which are masked.
type unframed struct {
	r    *bufio.Reader
	left []byte
}

func (u *unframed) Read(p []byte) (int, error) {
	for len(u.left) == 0 {
		head := make([]byte, 2)
		for i := range head {
			b, err := u.r.ReadByte()
			if err != nil {
				return 0, err
			}
			head[i] = b
		}
		n := int(head[1] & 0x7f)
		for more := map[int]int{126: 2, 127: 8}[n]; more > 0; more-- {
			b, err := u.r.ReadByte()
			if err != nil {
				return 0, err
			}
			if n > 125 && n < 128 && more >= 2 {
				n = 0
			}
			n = n<<8 | int(b)
		}
		if n > 1<<20 {
			return 0, fmt.Errorf("frame of %d bytes", n)
		}
		b := make([]byte, 4+n)
		for i := range b {
			c, err := u.r.ReadByte()
			if err != nil {
				return 0, err
			}
			b[i] = c
		}
		for i := range n {
			b[4+i] ^= b[i%4]
		}
		u.left = b[4:]
	}
	n := copy(p, u.left)
	u.left = u.left[n:]
	return n, nil
}

// mqtt speaks a session of which one packet, or more, is not as it should be.
func (m *malformed) mqtt(c net.Conn, r *bufio.Reader, wrap func([]byte) []byte) {
	wrongAt := m.rand.IntN(5) // after so many packets of the client
	for n := 0; n < 12; n++ {
		p, err := read(r, r)
		if err != nil {
			return
		}
		var answer []byte
		if n >= wrongAt {
			answer = m.wrong(p)
		} else {
			answer = right(p)
		}
		for _, b := range m.pieces(wrap(answer)) {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
		if n >= wrongAt && m.rand.IntN(4) == 0 {
			return
		}
	}
}

// pieces cuts what is written now and then.
func (m *malformed) pieces(b []byte) [][]byte {
	if len(b) < 2 || m.rand.IntN(3) > 0 {
		return [][]byte{b}
	}
	at := 1 + m.rand.IntN(len(b)-1)
	if m.rand.IntN(20) == 0 {
		time.Sleep(time.Duration(m.rand.IntN(5)) * time.Millisecond)
	}
	return [][]byte{b[:at], b[at:]}
}

// right is what a broker answers.
func right(p packet) []byte {
	switch p.kind() {
	case kindConnect:
		return packet{head: kindConnAck << 4, body: []byte{0, 0}}.bytes()
	case kindSubscribe:
		granted := []byte{p.body[0], p.body[1]}
		for i := 2; i+2 < len(p.body); { // topic filters, each with a QoS
			i += 2 + int(binary.BigEndian.Uint16(p.body[i:])) + 1
			granted = append(granted, 1)
		}
		return packet{head: kindSubAck << 4, body: granted}.bytes()
	case kindPublish:
		if p.head&6 == 0 || len(p.body) < 4 {
			return nil
		}
		at := 2 + int(binary.BigEndian.Uint16(p.body))
		if len(p.body) < at+2 {
			return nil
		}
		return packet{head: kindPubAck << 4, body: p.body[at : at+2]}.bytes()
	case kindPing:
		return packet{head: kindPong << 4}.bytes()
	}
	return nil
}

// wrong is an answer that is cut, too long, of another kind, twice, in the wrong order, or no packet at all.
func (m *malformed) wrong(p packet) []byte {
	b := right(p)
	switch m.rand.IntN(16) {
	case 0:
		return m.junk(2000)
	case 1: // any packet, any flags, any body
		return packet{head: byte(m.rand.Uint32()), body: m.junk(100)}.bytes()
	case 2:
		return b[:len(b)/2]
	case 3:
		return append(b, b...)
	case 4: // a length that is too long to be one [2.2.3]
		return []byte{byte(m.rand.Uint32()), 0xff, 0xff, 0xff, 0xff, 0xff}
	case 5: // one that says more than comes
		return append([]byte{byte(m.rand.IntN(16) << 4)}, append(length(m.rand.IntN(1<<28)), m.junk(50)...)...)
	case 6: // one that says less
		return append([]byte{kindPublish<<4 | 2, byte(m.rand.IntN(6))}, m.junk(30)...)
	case 7: // CONNACK, in the middle too
		return packet{head: kindConnAck << 4, body: []byte{byte(m.rand.Uint32()), byte(m.rand.Uint32())}}.bytes()
	case 8:
		return packet{head: kindSubAck << 4, body: m.junk(20)}.bytes()
	case 9: // acknowledgements of what nobody sent
		return packet{head: byte([]int{4, 5, 6, 7, 11}[m.rand.IntN(5)] << 4), body: m.junk(4)}.bytes()
	case 10: // PUBLISH with a topic that is longer than the packet, empty, or with wildcards
		topics := [][]byte{{0xff, 0xff, 'a'}, str(""), str("lb/#"), str("lb/+/x"), str("a\x00b"), str("\xff\xfe")}
		return packet{head: kindPublish<<4 | byte(m.rand.IntN(16)), body: append(topics[m.rand.IntN(6)], m.junk(40)...)}.bytes()
	case 11: // to our topics, with any payload, with any QoS
		return packet{head: kindPublish<<4 | byte(m.rand.IntN(16)), body: append(str("lb/gw/dn/cmd/x/write"),
			m.junk(200)...)}.bytes()
	case 12: // a client's packets
		return packet{head: byte([]int{1, 8, 10, 12, 14}[m.rand.IntN(5)]<<4) | 2, body: m.junk(60)}.bytes()
	case 13: // the client's own words
		return p.bytes()
	case 14: // a flipped bit
		if len(b) > 0 {
			b[m.rand.IntN(len(b))] ^= 1 << m.rand.IntN(8)
		}
		return b
	}
	return bytes.Repeat(packet{head: kindPong << 4}.bytes(), m.rand.IntN(2000)+1)
}
