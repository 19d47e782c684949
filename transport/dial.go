package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of one attempt. A slow radio needs several round trips for TLS, so they do not follow detect_within below 10 s.
const (
	minHandshake = 10 * time.Second
	maxHandshake = 30 * time.Second
)

// endpoint is one server of the list. What it remembers between dials is guarded by mu.
type endpoint struct {
	Server
	name   string // URL without user info
	scheme string
	secure bool   // TLS
	addr   string // host:port
	host   string
	url    *url.URL

	mu    sync.Mutex
	cache tls.ClientSessionCache // saves a full handshake at each reconnect
	files [32]byte               // hash of the certificate files that the cache belongs to
	known []netip.Addr           // what the name stood for last
	rests rests[netip.Addr]      // addresses that failed lately

	expiry Expiry
	certAt time.Time // of our certificate's file, when expiry was read from it

	maxKeep time.Duration // the highest keepalive that the server takes; 0: not known
}

var defaultPorts = map[string]string{"mqtt": "1883", "mqtts": "8883", "ws": "80", "wss": "443"}

func newEndpoint(s Server) (*endpoint, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		_, host, found := strings.Cut(s.URL, "@") // the error, too, may hold the password
		if !found {
			host = s.URL
		}
		return nil, fmt.Errorf("server %q: not a URL", host)
	}
	port, known := defaultPorts[u.Scheme]
	if !known {
		return nil, fmt.Errorf("server %q: scheme must be mqtt, mqtts, ws or wss", u.Redacted())
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("server %q: host is missing", u.Redacted())
	}
	if p := u.Port(); p != "" {
		port = p
	}
	if u.User != nil && s.Username == "" {
		s.Username = u.User.Username()
		if password, ok := u.User.Password(); ok && s.Password == nil {
			s.Password = func() (string, error) { return password, nil }
		}
	}
	u.User = nil
	return &endpoint{
		Server: s, name: u.String(), scheme: u.Scheme, secure: u.Scheme == "mqtts" || u.Scheme == "wss",
		addr: net.JoinHostPort(u.Hostname(), port), host: u.Hostname(), url: u,
	}, nil
}

func (e *endpoint) websocket() bool { return e.scheme == "ws" || e.scheme == "wss" }

// password asks for it; a file that cannot be read is no reason to think that the server refuses us.
func (e *endpoint) password() (string, error) {
	if e.Password == nil {
		return "", nil
	}
	p, err := e.Password()
	if err != nil {
		return "", fmt.Errorf("password for %s: %w", e.name, err)
	}
	return p, nil
}

// stream is what MQTT is spoken over.
type stream struct {
	net.Conn        // TCP, or TLS or WebSocket above it
	raw      *meter // the socket
	rtoMax   bool   // the kernel bounds the retransmission timer for us
	iface    string // that it is bound to; "": the kernel's choice
	way      string // the interface that it leaves by; "": not known
}

// pin is the path of another connection; the zero value is any.
type pin struct {
	remote, local net.Addr
	iface         string
}

// pinned is the path of s.
func (s *stream) pinned() pin { return pin{s.raw.RemoteAddr(), s.raw.LocalAddr(), s.iface} }

// meter counts the bytes of a socket. Until up they are booked under cause, then under wire.
type meter struct {
	net.Conn
	ledger *ledger
	cause  Cause
	up     atomic.Bool
	bytes  atomic.Int64
	calls  atomic.Int64 // that moved something
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.count(n, m.up.Load())
	return n, err
}

// Write books what it writes by how it was before: the answer to CONNECT may be read before Write returns.
func (m *meter) Write(p []byte) (int, error) {
	up := m.up.Load()
	n, err := m.Conn.Write(p)
	m.count(n, up)
	return n, err
}

func (m *meter) count(n int, up bool) {
	m.bytes.Add(int64(n))
	m.calls.Add(1)
	if up {
		m.ledger.wire.Add(int64(n))
		return
	}
	m.ledger.by[m.cause].Add(int64(n))
}

// cost is what the socket has cost on the wire so far: as the kernel counts it, or else a segment and its acknowledgement for
// each call, and those of the beginning and the end.
func (m *meter) cost() int64 {
	if n, ok := wireCost(m.Conn); ok {
		return n
	}
	return m.bytes.Load() + headers4*(2*m.calls.Load()+6)
}

// headers is what the socket has cost beyond what it carried.
func (m *meter) headers() int64 { return max(0, m.cost()-m.bytes.Load()) }

// Close books what the socket has cost in the end.
func (m *meter) Close() error {
	m.ledger.closed(m)
	return m.Conn.Close()
}

// accepted ends the handshake. The buffered bytes were counted as part of it and are not.
func (m *meter) accepted(buffered int) {
	m.up.Store(true)
	m.ledger.by[m.cause].Add(-int64(buffered))
	m.ledger.wire.Add(int64(buffered))
}

// handshakeTime bounds dialling up to TLS and WebSocket, and once more CONNECT up to the answers to SUBSCRIBE.
func (o Options) handshakeTime() time.Duration {
	return min(max(o.DetectWithin, minHandshake), maxHandshake)
}

// open connects to e, up to where MQTT begins. The bytes are booked under cause.
func (l *Link) open(ctx context.Context, e *endpoint, cause Cause) (*stream, error) {
	return l.openTo(ctx, e, cause, pin{})
}

// openTo is open on the path of another connection.
func (l *Link) openTo(ctx context.Context, e *endpoint, cause Cause, p pin) (_ *stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.handshakeTime())
	defer cancel()
	s, err := l.dial(ctx, e, p)
	if err != nil {
		return nil, err
	}
	raw := s.Conn
	s.raw = &meter{Conn: raw, ledger: &l.ledger, cause: cause}
	l.ledger.opened(s.raw)
	defer func() {
		if err != nil {
			_ = s.raw.Close()
		}
	}()
	s.Conn = s.raw
	if err = l.tunnel(ctx, e, s); err != nil {
		return nil, err
	}
	if e.secure {
		if s.Conn, err = e.handshake(ctx, s.Conn, l.o.Floor); err != nil {
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
func (l *Link) tunnel(ctx context.Context, e *endpoint, s *stream) error {
	via, err := l.o.via(e)
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

func (o Options) via(e *endpoint) (*Via, error) {
	if o.Proxy == nil || o.Dial != nil {
		return nil, nil
	}
	return o.Proxy(e.URL)
}

// dial opens the socket, to the server or its proxy, by the best way out that works.
func (l *Link) dial(ctx context.Context, e *endpoint, p pin) (*stream, error) {
	if l.o.Dial != nil {
		c, err := l.o.Dial(ctx, "tcp", e.addr)
		return &stream{Conn: c, rtoMax: true}, err
	}
	target := e.addr
	switch via, err := l.o.via(e); {
	case err != nil:
		return nil, err
	case via != nil:
		target = via.Addr
	}
	if p.iface != "" {
		return l.dialBy(ctx, p.iface, e, target, p)
	}
	order, err := l.ways.order(time.Now())
	if err != nil {
		return nil, err
	}
	for i, name := range order {
		var s *stream
		if s, err = l.dialWithin(ctx, len(order)-i, name, e, target, p); err == nil {
			return s, nil
		}
		if len(order) > 1 {
			l.ways.rests.failed(name, time.Now())
		}
	}
	return nil, err
}

// dialWithin is dialBy within a share of the time.
func (l *Link) dialWithin(ctx context.Context, left int, iface string, e *endpoint, target string, p pin) (*stream, error) {
	if deadline, ok := ctx.Deadline(); ok && left > 1 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
		defer cancel()
	}
	return l.dialBy(ctx, iface, e, target, p)
}

// dialBy dials the addresses of target by an interface; "" is the kernel's choice.
func (l *Link) dialBy(ctx context.Context, iface string, e *endpoint, target string, p pin) (*stream, error) {
	addresses, err := e.addresses(ctx, target, p)
	if err != nil {
		return nil, err
	}
	s := &stream{iface: iface}
	var rtoMax atomic.Bool
	dial := func(ctx context.Context, a netip.AddrPort) (net.Conn, error) {
		d := net.Dialer{
			KeepAlive:       -1, // its 15 s would cost 0.6 MB a day
			KeepAliveConfig: net.KeepAliveConfig{Enable: false},
			Control:         socketOptions(l.o.DetectWithin, &rtoMax, iface),
		}
		if tcp, ok := p.local.(*net.TCPAddr); ok {
			d.LocalAddr = &net.TCPAddr{IP: tcp.IP, Zone: tcp.Zone}
		}
		c, err := d.DialContext(ctx, "tcp", a.String())
		if err != nil {
			e.rests.failed(a.Addr(), time.Now())
		}
		return c, err
	}
	s.Conn, err = dialAny(ctx, addresses, dial)
	s.rtoMax = rtoMax.Load()
	if err != nil && iface != "" && errors.Is(err, os.ErrPermission) {
		l.ways.forbidden(iface, os.ErrPermission)
		return l.dialBy(ctx, "", e, target, p)
	}
	if s.way = iface; err == nil && iface == "" {
		s.way = InterfaceOf(net.IP(addressOf(s.LocalAddr()).AsSlice()))
	}
	return s, err
}

// addresses are those of target, or the pinned one.
func (e *endpoint) addresses(ctx context.Context, target string, p pin) ([]netip.AddrPort, error) {
	if tcp, ok := p.remote.(*net.TCPAddr); ok {
		return []netip.AddrPort{tcp.AddrPort()}, nil
	}
	host, service, err := net.SplitHostPort(target)
	if err != nil {
		return nil, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", service)
	if err != nil {
		return nil, err
	}
	found, err := e.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	var all []netip.AddrPort
	for _, a := range e.rests.sorted(found, time.Now()) {
		all = append(all, netip.AddrPortFrom(a, uint16(port)))
	}
	if len(all) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return all, nil
}

// judged lets the address and the interface of a session rest that ended as v, or forgives them.
func (l *Link) judged(s *session, v verdict) {
	a := addressOf(s.conn.RemoteAddr())
	if !a.IsValid() {
		return
	}
	now := time.Now()
	switch {
	case v.loss == LossAddress || v.kind == outcomeStopped || v.kind == outcomePlanned || v.kind == outcomeRefused:
	case v.up && v.lasted >= stableAfter:
		s.e.rests.fine(a)
		if s.stream.iface != "" {
			l.ways.rests.fine(s.stream.iface)
		}
		fallthrough
	default:
		s.e.rests.failed(a, now)
		if s.stream.iface != "" && v.kind == outcomeSilence {
			l.ways.rests.failed(s.stream.iface, now)
		}
	}
}
