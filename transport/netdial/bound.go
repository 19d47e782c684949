package netdial

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/linkbeat/linkbeat/transport/faults"
)

// What a server or proxy may send before it is known to be one. A parser of headers or certificates has bounds of its own for
// each of them, and none for their sum: so bytes are counted below it, and below any buffer that reads ahead.
const (
	maxProxyBytes   = 16 << 10  // of the answer of a proxy: headers, or the replies of RFC 1928
	maxUpgradeBytes = 16 << 10  // of the answer to the request for a WebSocket
	maxTLSBytes     = 256 << 10 // of a handshake, certificates included
)

// bounded is a connection that ends with a fault when more bytes come in than the handshake on it may have. One reader at a time.
type bounded struct {
	net.Conn
	left atomic.Int64 // bytes; below zero: no bound any more
	hit  atomic.Bool  // more came
	over *faults.Fault
}

// bound returns c, which fails after most bytes until released is called on it. who sent what before it did: for the fault.
func bound(c net.Conn, most int64, who, what, did, advice string) *bounded {
	b := &bounded{Conn: c}
	b.again(most, who, what, did, advice)
	return b
}

// again begins another bound. Nobody reads meanwhile.
func (b *bounded) again(most int64, who, what, did, advice string) {
	b.over = &faults.Fault{Kind: faults.OutcomeNonsense,
		Msg: fmt.Sprintf("%s sent more than %d KiB of %s before it %s: %s", who, most>>10, what, did, advice)}
	b.left.Store(most)
}

// Read reads no byte beyond the bound.
func (b *bounded) Read(p []byte) (int, error) {
	left := b.left.Load()
	if left < 0 {
		return b.Conn.Read(p)
	}
	if left == 0 && len(p) > 0 {
		b.hit.Store(true)
		return 0, b.over
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), left)])
	b.left.CompareAndSwap(left, left-int64(n)) // unless it was released meanwhile
	return n, err
}

// released ends the bound: the handshake is done.
func (b *bounded) released() { b.left.Store(-1) }

// fault is the bound's own, where err came of it: a parser may have made a text of it.
func (b *bounded) fault(err error) error {
	if err != nil && b.hit.Load() {
		return b.over
	}
	return err
}

// adviceAboutPort is the next step for a server that is none of ours.
const adviceAboutPort = "something else listens there, check host, port and scheme of the server's URL"

// boundProxy bounds what a proxy sends before it connects us.
func boundProxy(through tunnel) tunnel {
	return func(ctx context.Context, c net.Conn, addr string) (net.Conn, error) {
		b := bound(c, maxProxyBytes, "proxy", "headers", "answered", "check uplink.proxy, it may name something else")
		_, err := through(ctx, b, addr)
		if b.hit.Load() {
			return nil, &ProxyError{Err: b.over}
		}
		return c, err // nothing is read ahead
	}
}

// Handshake speaks TLS over c. The *tls.Conn is there after an error too, for what the server has shown.
func Handshake(ctx context.Context, c net.Conn, config *tls.Config) (*tls.Conn, error) {
	b := bound(c, maxTLSBytes, "server", "certificates and other messages of TLS", "had finished the handshake", adviceAboutPort)
	t := tls.Client(b, config)
	err := b.fault(t.HandshakeContext(ctx))
	if err == nil {
		b.released()
	}
	return t, err
}
