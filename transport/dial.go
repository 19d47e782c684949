package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"
)

// Bounds of one attempt. A slow radio needs several round trips for TLS, so they do not follow detect_within below 10 s.
const (
	minHandshake = 10 * time.Second
	maxHandshake = 30 * time.Second
)

// dialer opens streams to servers: by address, interface, proxy, TLS, WebSocket. It counts what they cost, and remembers which
// interfaces failed. Safe for concurrent use.
type dialer struct {
	o          dialOptions // immutable
	ledger     ledger
	interfaces ways
}

// dialOptions of newDialer.
type dialOptions struct {
	DetectWithin time.Duration                                                     // with anything outstanding, a dead connection is noticed within this
	Floor        time.Time                                                         // a clock before it is taken for it when certificates are checked; zero: never
	Interfaces   []string                                                          // that connections may leave by, in order of preference; empty: the kernel's choice
	Proxy        func(url string) (*Via, error)                                    // the way to a server; nil, or a nil Via: straight
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error) // nil: real TCP with our socket options
}

// newDialer returns one that has opened nothing yet.
func newDialer(o dialOptions) *dialer { return &dialer{o: o, interfaces: ways{names: o.Interfaces}} }

// handshakeTime bounds dialling up to TLS and WebSocket, and once more CONNECT up to the answers to SUBSCRIBE.
func (d *dialer) handshakeTime() time.Duration {
	return min(max(d.o.DetectWithin, minHandshake), maxHandshake)
}

// open connects to e, up to where MQTT begins. The bytes are booked under cause.
func (d *dialer) open(ctx context.Context, e *endpoint, cause Cause) (*stream, error) {
	return d.openTo(ctx, e, cause, pin{})
}

// openTo is open on the path of another connection.
func (d *dialer) openTo(ctx context.Context, e *endpoint, cause Cause, p pin) (_ *stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.handshakeTime())
	defer cancel()
	s, err := d.dial(ctx, e, p)
	if err != nil {
		return nil, err
	}
	raw := s.Conn
	s.raw = &meter{Conn: raw, ledger: &d.ledger, cause: cause}
	d.ledger.opened(s.raw)
	defer func() {
		if err != nil {
			_ = s.raw.Close()
		}
	}()
	s.Conn = s.raw
	if err = d.tunnel(ctx, e, s); err != nil {
		return nil, err
	}
	if e.secure {
		if s.Conn, err = e.handshake(ctx, s.Conn, d.o.Floor); err != nil {
			return nil, err
		}
	}
	if e.websocket() {
		if s.Conn, err = e.upgrade(ctx, s.Conn); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// proxyTime bounds what a proxy may take once it is connected to.
const proxyTime = 10 * time.Second

// tunnel goes through the proxy, where there is one.
func (d *dialer) tunnel(ctx context.Context, e *endpoint, s *stream) error {
	via, err := d.via(e)
	if via == nil || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, proxyTime)
	defer cancel()
	if _, err := via.Tunnel(ctx, s.Conn, e.addr); err != nil {
		return fmt.Errorf("proxy %s: %w", via.Name, err)
	}
	return nil
}

func (d *dialer) via(e *endpoint) (*Via, error) {
	if d.o.Proxy == nil || d.o.Dial != nil {
		return nil, nil
	}
	return d.o.Proxy(e.URL)
}

// dial opens the socket, to the server or its proxy, by the best way out that works.
func (d *dialer) dial(ctx context.Context, e *endpoint, p pin) (*stream, error) {
	if d.o.Dial != nil {
		c, err := d.o.Dial(ctx, "tcp", e.addr)
		return &stream{Conn: c, rtoMax: true}, err
	}
	target := e.addr
	switch via, err := d.via(e); {
	case err != nil:
		return nil, err
	case via != nil:
		target = via.Addr
	}
	if p.iface != "" {
		return d.dialBy(ctx, p.iface, e, target, p)
	}
	order, err := d.interfaces.order(time.Now())
	if err != nil {
		return nil, err
	}
	for i, name := range order {
		var s *stream
		if s, err = d.dialWithin(ctx, len(order)-i, name, e, target, p); err == nil {
			return s, nil
		}
		if len(order) > 1 {
			d.interfaces.rests.failed(name, time.Now())
		}
	}
	return nil, err
}

// dialWithin is dialBy within a share of the time.
func (d *dialer) dialWithin(ctx context.Context, left int, iface string, e *endpoint, target string, p pin) (*stream, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return d.dialBy(ctx, iface, e, target, p)
}

// dialBy dials the addresses of target by an interface; "" is the kernel's choice.
func (d *dialer) dialBy(ctx context.Context, iface string, e *endpoint, target string, p pin) (*stream, error) {
	addresses, err := e.addresses(ctx, target, p)
	if err != nil {
		return nil, err
	}
	s := &stream{iface: iface}
	var rtoMax atomic.Bool
	dial := func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
		tcpDialer := net.Dialer{
			KeepAlive:       -1, // its 15 s would cost 0.6 MB a day
			KeepAliveConfig: net.KeepAliveConfig{Enable: false},
			Control:         socketOptions(d.o.DetectWithin, &rtoMax, iface),
		}
		if tcp, ok := p.local.(*net.TCPAddr); ok {
			tcpDialer.LocalAddr = &net.TCPAddr{IP: tcp.IP, Zone: tcp.Zone}
		}
		c, err := tcpDialer.DialContext(ctx, "tcp", a.String())
		if err != nil {
			e.rests.failed(a.Addr(), time.Now())
		}
		return c, err
	}
	s.Conn, err = dialAny(ctx, addresses, dial)
	s.rtoMax = rtoMax.Load()
	if err != nil && iface != "" && errors.Is(err, os.ErrPermission) {
		d.interfaces.forbidden(iface, os.ErrPermission)
		return d.dialBy(ctx, "", e, target, p)
	}
	if s.way = iface; err == nil && iface == "" {
		s.way = InterfaceOf(net.IP(addressOf(s.LocalAddr()).AsSlice()))
	}
	return s, err
}

const defaultDetectWithin = 60 * time.Second
