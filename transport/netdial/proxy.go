package netdial

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"golang.org/x/net/proxy"

	"github.com/linkbeat/linkbeat/transport/brokerurl"
)

// Proxy is the way through a proxy.
type Proxy struct {
	Name   string // of its URL: without a login
	Addr   string // host:port
	Tunnel func(ctx context.Context, c net.Conn, addr string) (net.Conn, error)
}

// tunnel is Proxy.Tunnel.
type tunnel = func(ctx context.Context, c net.Conn, addr string) (net.Conn, error)

// ProxyError is the error of a proxy that answered, and did not connect us.
type ProxyError struct {
	Login bool // it wants another login
	Err   error
}

// Error is what the proxy said.
func (e *ProxyError) Error() string { return e.Err.Error() }

// Unwrap is the error behind it.
func (e *ProxyError) Unwrap() error { return e.Err }

// proxyPorts are the ports of proxies that name none.
var proxyPorts = map[string]string{"http": "80", "socks5": "1080"}

// NewProxy understands http://[user:password@]host[:port] (CONNECT, RFC 9110 section 9.3.6) and socks5:// (RFC 1928).
func NewProxy(text brokerurl.URL) (*Proxy, error) {
	u, err := text.Parse()
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	port, known := proxyPorts[u.Scheme]
	if !known || u.Hostname() == "" {
		return nil, fmt.Errorf("proxy %s: must be http:// or socks5://, and a host", text.Name())
	}
	if u.Port() != "" {
		port = u.Port()
	}
	v := &Proxy{Name: text.Name(), Addr: net.JoinHostPort(u.Hostname(), port)}
	through := connectThrough(u.User)
	if u.Scheme == "socks5" {
		through = socksThrough(u.User)
	}
	v.Tunnel = boundProxy(through)
	return v, nil
}

// NoProxy as a setting: no proxy, whatever the environment says.
const NoProxy = brokerurl.None

// ProxyFor is the proxy for a server's URL under a setting: its own URL, NoProxy, or "" for what the environment says. nil: none.
func ProxyFor(setting, server brokerurl.URL) (*Proxy, error) {
	switch setting {
	case "":
		return ProxyFromEnvironment(server)
	case NoProxy:
		return nil, nil
	}
	return NewProxy(setting)
}

// ProxyFromEnvironment is the proxy that HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY name for a server's URL (the first where
// it has TLS); nil: none.
func ProxyFromEnvironment(server brokerurl.URL) (*Proxy, error) {
	u, err := server.Parse()
	if err != nil {
		return nil, nil //nolint:nilerr // NewEndpoint reports what is wrong with the URL
	}
	as := "http"
	if s, _ := brokerurl.Named(u.Scheme); s.TLS {
		as = "https"
	}
	through, err := http.ProxyFromEnvironment(&http.Request{URL: &url.URL{Scheme: as, Host: u.Host}})
	if err != nil {
		return nil, errors.New("the proxy that the environment names is no URL")
	}
	if through == nil {
		return proxyAll(u.Host)
	}
	return NewProxy(brokerurl.URL(through.String()))
}

// proxyAll is the proxy that ALL_PROXY names, unless NO_PROXY names the host. As with the other variables none stands before a
// server on this machine: its login is in clear, and would leave the machine.
func proxyAll(host string) (*Proxy, error) {
	all := firstEnv("ALL_PROXY", "all_proxy")
	if name, _, err := net.SplitHostPort(host); brokerurl.Loopback(host) || err == nil && brokerurl.Loopback(name) {
		return nil, nil
	}
	if all == "" || firstEnv("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy") != "" {
		return nil, nil
	}
	through, not := true, firstEnv("NO_PROXY", "no_proxy")
	choice := proxy.NewPerHost(noted(func() { through = true }), noted(func() { through = false }))
	choice.AddFromString(not) // addresses, networks
	for name := range strings.SplitSeq(not, ",") {
		choice.AddZone(strings.TrimPrefix(strings.TrimSpace(name), ".")) // and names below it, as other programs read it
	}
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(host, "0") // the choice is by host alone
	}
	_, _ = choice.Dial("tcp", host)
	if !through {
		return nil, nil
	}
	return NewProxy(brokerurl.URL(all))
}

// noted is a dialer that only says that it was chosen.
type noted func()

func (n noted) Dial(string, string) (net.Conn, error) { n(); return nil, nil }

func firstEnv(names ...string) string {
	for _, n := range names {
		if v := os.Getenv(n); v != "" {
			return v
		}
	}
	return ""
}

// connectThrough asks an HTTP proxy.
func connectThrough(login *url.Userinfo) tunnel {
	return func(ctx context.Context, c net.Conn, addr string) (net.Conn, error) {
		defer EndWith(ctx, c)()
		ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: addr}, Host: addr, Header: http.Header{}}
		if login != nil {
			password, _ := login.Password()
			basic := base64.StdEncoding.EncodeToString([]byte(login.Username() + ":" + password))
			ask.Header.Set("Proxy-Authorization", "Basic "+basic)
		}
		if err := ask.Write(c); err != nil {
			return nil, err
		}
		// No byte beyond the answer may be read ahead: it would be the server's. It speaks first in none of our protocols.
		answer, err := http.ReadResponse(bufio.NewReader(c), ask)
		if err != nil {
			return nil, err
		}
		// The body of a refusal is not read, nor closed, which would read it: the connection ends.
		switch {
		case answer.StatusCode == http.StatusProxyAuthRequired:
			return nil, &ProxyError{true, fmt.Errorf("proxy answers %s", answer.Status)}
		case answer.StatusCode/100 != 2:
			return nil, &ProxyError{false, fmt.Errorf("proxy answers %s for %s", answer.Status, addr)}
		}
		return c, nil
	}
}

// socksThrough asks a SOCKS proxy.
func socksThrough(login *url.Userinfo) tunnel {
	return func(ctx context.Context, c net.Conn, addr string) (net.Conn, error) {
		defer EndWith(ctx, c)()
		var auth *proxy.Auth
		if login != nil {
			password, _ := login.Password()
			auth = &proxy.Auth{User: login.Username(), Password: password}
		}
		socks, err := proxy.SOCKS5("tcp", "given", auth, connected{c})
		if err != nil {
			return nil, err
		}
		if _, err := socks.Dial("tcp", addr); err != nil {
			return nil, socksError(err)
		}
		return c, nil
	}
}

// socksError makes a ProxyError of what the proxy refused; an error of the path stays as it is. The library tells them apart by
// its texts only.
func socksError(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "username/password"), strings.Contains(text, "authentication"):
		return &ProxyError{true, errors.New("proxy does not accept our login")}
	case strings.Contains(text, "unknown error"):
		_, what, _ := strings.Cut(text, "unknown error ")
		return &ProxyError{false, errors.New("proxy refuses: " + what)}
	}
	return err
}

// connected is a dialer that has dialled already.
type connected struct{ c net.Conn }

func (g connected) Dial(string, string) (net.Conn, error) { return g.c, nil }

// EndWith lets ctx end what c does, up to the call of the func that it returns.
func EndWith(ctx context.Context, c net.Conn) func() {
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}
