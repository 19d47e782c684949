package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
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
}

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
	m.count(n)
	return n, err
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.Conn.Write(p)
	m.count(n)
	return n, err
}

func (m *meter) count(n int) {
	m.bytes.Add(int64(n))
	m.calls.Add(1)
	if m.up.Load() {
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
	return l.openTo(ctx, e, cause, nil, nil)
}

// openTo is open on the path of another connection: to the same address of a name, from the same one of ours. Both may be nil.
func (l *Link) openTo(ctx context.Context, e *endpoint, cause Cause, remote, local net.Addr) (_ *stream, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.handshakeTime())
	defer cancel()
	var rtoMax atomic.Bool
	raw, err := l.dial(ctx, e.addr, remote, local, &rtoMax)
	if err != nil {
		return nil, err
	}
	s := &stream{raw: &meter{Conn: raw, ledger: &l.ledger, cause: cause}, rtoMax: rtoMax.Load()}
	defer func() {
		if err != nil {
			_ = raw.Close()
		}
	}()
	s.Conn = s.raw
	if e.secure {
		if s.Conn, err = e.handshake(ctx, s.Conn); err != nil {
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

// dial opens the socket. The standard dialer tries all addresses of a name, and divides the time among them.
func (l *Link) dial(ctx context.Context, addr string, remote, local net.Addr, rtoMax *atomic.Bool) (net.Conn, error) {
	if l.o.Dial != nil {
		rtoMax.Store(true)
		return l.o.Dial(ctx, "tcp", addr)
	}
	d := net.Dialer{
		KeepAlive:       -1, // its 15 s would cost 0.6 MB a day
		KeepAliveConfig: net.KeepAliveConfig{Enable: false},
		Control:         socketOptions(l.o.DetectWithin, rtoMax),
	}
	if remote != nil {
		addr = remote.String()
	}
	if tcp, ok := local.(*net.TCPAddr); ok {
		d.LocalAddr = &net.TCPAddr{IP: tcp.IP, Zone: tcp.Zone}
	}
	return d.DialContext(ctx, "tcp", addr)
}
