package netdial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokerurl"
)

// Bounds of one attempt. A slow radio needs several round trips for TLS, so they do not follow detect_within below 10 s.
const (
	minHandshake = 10 * time.Second
	maxHandshake = 30 * time.Second
)

// Dialer opens streams to servers: by address, interface, proxy, TLS, WebSocket. It counts what they cost, and remembers which
// interfaces failed. Safe for concurrent use.
type Dialer struct {
	Counter    Counter    // of all that was opened
	Interfaces Interfaces // those of the Options

	o Options // immutable
}

// Options of New.
type Options struct {
	DetectWithin time.Duration                       // with anything outstanding, a dead connection is noticed within this
	Floor        time.Time                           // a clock before it counts as it when certificates are checked; zero: never
	Interfaces   []string                            // to leave by, in order of preference; empty: the kernel's choice
	Proxy        func(brokerurl.URL) (*Proxy, error) // the way to a server; nil, or a nil Proxy: straight

	Dial func(ctx context.Context, network, addr string) (net.Conn, error) // nil: real TCP with our socket options
}

// New returns one that has opened nothing yet.
func New(o Options) *Dialer { return &Dialer{o: o, Interfaces: Interfaces{names: o.Interfaces}} }

// HandshakeTime bounds dialling up to TLS and WebSocket, and once more CONNECT up to the answers to SUBSCRIBE.
func (d *Dialer) HandshakeTime() time.Duration {
	return min(max(d.o.DetectWithin, minHandshake), maxHandshake)
}

// Open connects to e, up to where MQTT begins. The bytes are booked under cause.
func (d *Dialer) Open(ctx context.Context, e *Endpoint, cause Cause) (*Stream, error) {
	return d.OpenOn(ctx, e, cause, Path{})
}

// OpenOn is Open on the path of another connection.
func (d *Dialer) OpenOn(ctx context.Context, e *Endpoint, cause Cause, p Path) (_ *Stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.HandshakeTime())
	defer cancel()
	s, err := d.dial(ctx, e, p)
	if err != nil {
		return nil, err
	}
	raw := s.Conn
	s.Raw = NewMeter(raw, &d.Counter, cause)
	defer func() {
		if err != nil {
			_ = s.Raw.Close()
		}
	}()
	s.Conn = s.Raw
	if err = d.tunnel(ctx, e, s); err != nil {
		return nil, err
	}
	if e.Scheme.TLS {
		if s.Conn, err = e.handshake(ctx, s.Conn, d.o.Floor); err != nil {
			return nil, err
		}
	}
	if e.Scheme.WebSocket {
		if s.Conn, err = e.Upgrade(ctx, s.Conn); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// proxyTime bounds what a proxy may take once it is connected to.
const proxyTime = 10 * time.Second

// tunnel goes through the proxy, where there is one.
func (d *Dialer) tunnel(ctx context.Context, e *Endpoint, s *Stream) error {
	proxy, err := d.proxyTo(e)
	if proxy == nil || err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, proxyTime)
	defer cancel()
	if _, err := proxy.Tunnel(ctx, s.Conn, e.Addr); err != nil {
		return fmt.Errorf("proxy %s: %w", proxy.Name, err)
	}
	return nil
}

func (d *Dialer) proxyTo(e *Endpoint) (*Proxy, error) {
	if d.o.Proxy == nil || d.o.Dial != nil {
		return nil, nil
	}
	return d.o.Proxy(e.URL)
}

// dial opens the socket, to the server or its proxy, by the best interface that works.
func (d *Dialer) dial(ctx context.Context, e *Endpoint, p Path) (*Stream, error) {
	if d.o.Dial != nil {
		c, err := d.o.Dial(ctx, "tcp", e.Addr)
		return &Stream{Conn: c, RTOMax: true}, err
	}
	target := e.Addr
	switch proxy, err := d.proxyTo(e); {
	case err != nil:
		return nil, err
	case proxy != nil:
		target = proxy.Addr
	}
	if p.Interface != "" {
		return d.dialBy(ctx, p.Interface, e, target, p)
	}
	order, err := d.Interfaces.toTry(time.Now())
	if err != nil {
		return nil, err
	}
	for i, name := range order {
		var s *Stream
		if s, err = d.dialWithin(ctx, len(order)-i, name, e, target, p); err == nil {
			return s, nil
		}
		if len(order) > 1 {
			d.Interfaces.Cooldown.Fail(name, time.Now())
		}
	}
	return nil, err
}

// dialWithin is dialBy within a share of the time.
func (d *Dialer) dialWithin(ctx context.Context, left int, iface string, e *Endpoint, target string, p Path) (*Stream, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return d.dialBy(ctx, iface, e, target, p)
}

// dialBy dials the addresses of target by an interface; "" is the kernel's choice.
func (d *Dialer) dialBy(ctx context.Context, iface string, e *Endpoint, target string, p Path) (*Stream, error) {
	addresses, err := e.addresses(ctx, target, p)
	if err != nil {
		return nil, err
	}
	s := &Stream{Bound: iface}
	var rtoMax atomic.Bool
	dial := func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
		tcpDialer := net.Dialer{
			KeepAlive:       -1, // its 15 s would cost 0.6 MB a day
			KeepAliveConfig: net.KeepAliveConfig{Enable: false},
			Control:         socketOptions(d.o.DetectWithin, &rtoMax, iface),
		}
		if tcp, ok := p.Local.(*net.TCPAddr); ok {
			tcpDialer.LocalAddr = &net.TCPAddr{IP: tcp.IP, Zone: tcp.Zone}
		}
		c, err := tcpDialer.DialContext(ctx, "tcp", a.String())
		if err != nil {
			e.Cooldown.Fail(a.Addr(), time.Now())
		}
		return c, err
	}
	s.Conn, err = dialAny(ctx, addresses, dial)
	s.RTOMax = rtoMax.Load()
	if err != nil && iface != "" && errors.Is(err, os.ErrPermission) {
		d.Interfaces.bindForbidden(iface, os.ErrPermission)
		return d.dialBy(ctx, "", e, target, p)
	}
	if s.Interface = iface; err == nil && iface == "" {
		s.Interface = InterfaceOf(net.IP(AddressOf(s.LocalAddr()).AsSlice()))
	}
	return s, err
}

// DefaultDetectWithin is for options that say nothing.
const DefaultDetectWithin = 60 * time.Second
