package hostile

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// say writes what next returns until nobody takes it, or the server has become friendly.
func say(c net.Conn, quiet *atomic.Bool, next func(i int) []byte) {
	for i := 0; !quiet.Load(); i++ {
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := c.Write(next(i)); err != nil {
			return
		}
	}
}

func constantly(b []byte) func(int) []byte { return func(int) []byte { return b } }

// The endless answers to a request of HTTP.
func endlessHeaders(c net.Conn, quiet *atomic.Bool) {
	_, _ = c.Write([]byte("HTTP/1.1 101 X\r\n"))
	var b bytes.Buffer
	for i := range 500 {
		fmt.Fprintf(&b, "X-%d: %0100d\r\n", i, i)
	}
	say(c, quiet, constantly(b.Bytes()))
}

func endlessLine(c net.Conn, quiet *atomic.Bool) {
	_, _ = c.Write([]byte("HTTP/1.1 101 X\r\nX: "))
	say(c, quiet, constantly(bytes.Repeat([]byte("x"), 32<<10)))
}

func endlessStatus(c net.Conn, quiet *atomic.Bool) {
	_, _ = c.Write([]byte("HTTP/1.1 200 "))
	say(c, quiet, constantly(bytes.Repeat([]byte("x"), 32<<10)))
}

// request takes a request of HTTP off the connection.
func request(c net.Conn) (*bufio.Reader, *http.Request, error) {
	_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
	r := bufio.NewReader(c)
	q, err := http.ReadRequest(r)
	_ = c.SetReadDeadline(time.Time{})
	return r, q, err
}

type hostility func(c net.Conn, quiet *atomic.Bool)

// front is what a hostile server stands before: the broker that has the books, and the certificates of servers that are trusted.
type front struct {
	*kit.Broker
	certs *kit.Certs
}

type serverOf func(e *kit.Env, b front, quiet *atomic.Bool) (url string, err error)

// overWS answers the upgrade; t is TLS in front of it, nil: none.
func overWS(t *tls.Config, h hostility) serverOf {
	return func(e *kit.Env, b front, quiet *atomic.Bool) (string, error) {
		addr, err := listen(e, "127.0.0.1:0", func(c net.Conn) {
			if t != nil {
				c = tls.Server(c, t)
			}
			if quiet.Load() {
				forward(c, net.JoinHostPort("127.0.0.1", strconv.Itoa(b.WS)))
				return
			}
			if _, _, err := request(c); err == nil {
				h(c, quiet)
			}
		})
		if t != nil {
			return "wss://" + addr, err
		}
		return "ws://" + addr, err
	}
}

func overWSS(h hostility) serverOf {
	return func(e *kit.Env, b front, quiet *atomic.Bool) (string, error) {
		t, err := serverTLS(b.certs)
		if err != nil {
			return "", err
		}
		return overWS(t, h)(e, b, quiet)
	}
}

// overProxy answers CONNECT.
func overProxy(h hostility) serverOf {
	return func(e *kit.Env, b front, quiet *atomic.Bool) (string, error) {
		addr, err := listen(e, "127.0.0.1:0", func(c net.Conn) {
			_, q, err := request(c)
			switch {
			case err != nil:
			case quiet.Load():
				_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
				forward(c, q.Host)
			default:
				h(c, quiet)
			}
		})
		return "http://" + addr, err
	}
}

func overTCP(h hostility) serverOf {
	return func(e *kit.Env, b front, quiet *atomic.Bool) (string, error) {
		addr, err := listen(e, "127.0.0.1:0", func(c net.Conn) {
			if quiet.Load() {
				forward(c, b.Host())
				return
			}
			h(c, quiet)
		})
		return "mqtt://" + addr, err
	}
}

// overTLS is what stands where a TLS server should; when it has become friendly it is one.
func overTLS(h hostility) serverOf {
	return func(e *kit.Env, b front, quiet *atomic.Bool) (string, error) {
		t, err := serverTLS(b.certs)
		if err != nil {
			return "", err
		}
		addr, err := listen(e, "127.0.0.1:0", func(c net.Conn) {
			if quiet.Load() {
				forward(tls.Server(c, t), b.Host())
				return
			}
			h(c, quiet)
		})
		return "mqtts://" + addr, err
	}
}

// serverTLS is of a server that the agent trusts.
func serverTLS(c *kit.Certs) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.ServerCert, c.ServerKey)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
}

// record is one of TLS, of a type, as TLS 1.2 writes it.
func record(kind byte, b []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind, 3, 3}, uint16(len(b))), b...)
}

// endlessHandshake says records of handshake that never end a message: each connection begins another kind of message, and writes
// it in records as long as they may be.
func endlessHandshake(c net.Conn, quiet *atomic.Bool) {
	buf := make([]byte, 4096)
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := c.Read(buf); err != nil {
		return
	}
	head := []byte{2, 0, 0xff, 0xff} // a ServerHello of 64 KiB less one
	say(c, quiet, func(i int) []byte {
		if i > 0 {
			head = nil
		}
		return record(22, append(head, bytes.Repeat([]byte{byte(i)}, 16<<10-len(head))...))
	})
}

// hugeChain is a real handshake with as long a chain of certificates as the protocol can say, over and over.
func hugeChain(c net.Conn, _ *atomic.Bool) {
	chain, err := selfSigned("127.0.0.1", nil)
	if err != nil {
		return
	}
	one := chain.Certificate[0]
	for size := len(one); size < 250<<10; size += len(one) {
		chain.Certificate = append(chain.Certificate, one)
	}
	s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{chain}})
	_ = s.SetDeadline(time.Now().Add(5 * time.Second))
	_ = s.Handshake()
}

func noMQTT(c net.Conn, quiet *atomic.Bool) {
	say(c, quiet, constantly(bytes.Repeat([]byte{0x20, 0xff}, 16<<10)))
}

// hugeConnAck is as long as a remaining length can say [2.2.3], and comes.
func hugeConnAck(c net.Conn, quiet *atomic.Bool) {
	_, _ = c.Write([]byte{kindConnAck << 4, 0xff, 0xff, 0xff, 0x7f})
	say(c, quiet, constantly(make([]byte, 32<<10)))
}

// serial is a serial server that says something for ever; what it is told, it does not hear.
func serialServer(e *kit.Env, next func(i int) []byte) (string, error) {
	addr, err := listen(e, "127.0.0.1:0", func(c net.Conn) {
		go func() {
			buf := make([]byte, 4096)
			for {
				if _, err := c.Read(buf); err != nil {
					return
				}
			}
		}()
		say(c, &atomic.Bool{}, next)
	})
	return "rfc2217://" + addr, err
}

// Telnet's commands and the option of RFC 2217.
const (
	iac, do, will, sb, se = 255, 253, 251, 250, 240
	comPort               = 44
)

func endlessNegotiation(e *kit.Env) (string, error) {
	return serialServer(e, func(i int) (b []byte) {
		for j := range 4000 {
			b = append(b, iac, do, byte(j), iac, will, byte(j))
		}
		return b
	})
}

// endlessEarlyData is data, and a port that never says that its line is set.
func endlessEarlyData(e *kit.Env) (string, error) {
	return serialServer(e, func(i int) []byte {
		if i == 0 {
			return []byte{iac, do, comPort, iac, will, comPort}
		}
		return bytes.Repeat([]byte("data before the line is set. "), 1000)
	})
}

// endlessAcks are answers to what nobody asked, and one that never ends.
func endlessAcks(e *kit.Env) (string, error) {
	return serialServer(e, func(i int) (b []byte) {
		if i == 0 {
			return []byte{iac, do, comPort, iac, will, comPort}
		}
		if i == 50 {
			return []byte{iac, sb, comPort, 101}
		}
		if i > 50 {
			return make([]byte, 32<<10)
		}
		for range 2000 {
			b = append(b, iac, sb, comPort, 101, 0, 0, 0x25, 0x80, iac, se)
		}
		return b
	})
}
