package netdial

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokerurl"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// Endpoint is a server that was parsed, and what is remembered of it between dials. Make it with NewEndpoint. Safe for concurrent
// use.
type Endpoint struct {
	Server
	Name     string               // that of the URL: without a login and a query
	Scheme   brokerurl.Scheme     // of the URL
	Addr     string               // host:port
	Cooldown Cooldown[netip.Addr] // addresses that failed lately

	host string
	url  *url.URL

	mu      sync.Mutex
	cache   tls.ClientSessionCache // saves a full handshake at each reconnect
	files   [32]byte               // hash of the certificate files that the cache belongs to
	known   []netip.Addr           // what the name stood for last
	expiry  Expiry
	certAt  time.Time     // of our certificate's file, when expiry was read from it
	maxKeep time.Duration // the highest keepalive that the server takes; 0: not known
	capKeep time.Duration // the highest that it did not end a session for; 0: any
}

// NewEndpoint parses the URL of s; a login in it serves where s names none. An error shows no password.
func NewEndpoint(s Server) (*Endpoint, error) {
	u, err := s.URL.Parse()
	if err != nil {
		return nil, fmt.Errorf("server %s: %w", s.URL.Name(), err)
	}
	scheme, known := brokerurl.Named(u.Scheme)
	if !known {
		return nil, fmt.Errorf("server %s: scheme must be %s", s.URL.Name(), brokerurl.List("", "or", nil))
	}
	if u.Hostname() == "" {
		return nil, fmt.Errorf("server %s: host is missing", s.URL.Name())
	}
	port := cmp.Or(u.Port(), scheme.Port)
	if u.User != nil && s.Username == "" {
		s.Username = u.User.Username()
		if password, ok := u.User.Password(); ok && s.Password == nil {
			s.Password = func() (string, error) { return password, nil }
		}
	}
	u.User = nil
	if s.Withhold {
		s.Username, s.Password, u.RawQuery = "", nil, ""
	}
	return &Endpoint{
		Server: s, Name: s.URL.Name(), Scheme: scheme, Addr: net.JoinHostPort(u.Hostname(), port), host: u.Hostname(), url: u,
	}, nil
}

// ReadPassword asks for the password, which is empty where there is none; a file that cannot be read is no reason to think that
// the server refuses us.
func (e *Endpoint) ReadPassword() (string, error) {
	if e.Password == nil {
		return "", nil
	}
	p, err := e.Password()
	if err != nil {
		return "", fmt.Errorf("password for %s: %w", e.Name, err)
	}
	return p, nil
}

// addresses are those of target, or the pinned one.
func (e *Endpoint) addresses(ctx context.Context, target string, p Path) ([]netip.AddrPort, error) {
	if tcp, ok := p.Remote.(*net.TCPAddr); ok {
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
	for _, a := range e.Cooldown.sort(found, time.Now()) {
		all = append(all, netip.AddrPortFrom(a, uint16(port)))
	}
	if len(all) == 0 {
		return nil, &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return all, nil
}

// resolve is what a host's name stands for. When no name server answers, what it stood for last will do.
func (e *Endpoint) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err == nil {
		e.known = found
		return found, nil
	}
	var fault *net.DNSError
	if len(e.known) > 0 && ctx.Err() == nil && !(errors.As(err, &fault) && fault.IsNotFound) {
		return e.known, nil
	}
	return nil, err
}

// LowerKeepalive is called when the server refused a CONNECT in a way that may mean its keepalive (mosquitto's max_keepalive:
// "identifier rejected"); false: it was as low as can be.
func (e *Endpoint) LowerKeepalive(refused time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if refused <= heartbeat.LeastKeepalive {
		e.maxKeep = 0 // that was not it
		return false
	}
	e.maxKeep = max(heartbeat.LeastKeepalive, (refused / 2).Truncate(time.Second))
	return true
}

// CapKeepalive is called with the highest keepalive for which the server was not seen to end sessions; 0: any will do.
func (e *Endpoint) CapKeepalive(most time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.capKeep = most
}

// AllowedKeepalive is d, or what the server takes.
func (e *Endpoint) AllowedKeepalive(d time.Duration) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, most := range []time.Duration{e.maxKeep, e.capKeep} {
		if most > 0 {
			d = min(d, most)
		}
	}
	return d
}
