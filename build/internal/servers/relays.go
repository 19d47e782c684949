package servers

import (
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// HAProxy runs a load balancer in TCP mode in front of host:port backends. It closes what is idle for that long, and takes a
// backend that is down out within a second.
func HAProxy(e *kit.Env, at Place, idle time.Duration, backends ...string) (*Server, error) {
	s, err := newServer(e, "haproxy", at)
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`global
	maxconn 1000
defaults
	mode tcp
	timeout connect 2s
	timeout client %[1]dms
	timeout server %[1]dms
frontend mqtt
	bind %[2]s
	default_backend brokers
backend brokers
	balance leastconn
`, idle.Milliseconds(), s.Host)
	for i, b := range backends {
		text += fmt.Sprintf("\tserver b%d %s check inter 500ms fall 2 rise 2\n", i, b)
	}
	path, err := s.file("haproxy.cfg", text)
	if err != nil {
		return nil, err
	}
	s.argv = []string{"haproxy", "-db", "-q", "-f", path} // -db: stay in the foreground, one process
	return s, s.startUp()
}

// Tinyproxy runs a proxy for HTTP CONNECT to any port; URL is what uplink.proxy wants.
func Tinyproxy(e *kit.Env, at Place) (*Server, error) {
	s, err := newServer(e, "tinyproxy", at)
	if err != nil {
		return nil, err
	}
	path, err := s.file("tinyproxy.conf", fmt.Sprintf("Listen %s\nPort %s\nTimeout 600\nMaxClients 50\nLogLevel Connect\n",
		at.addr(), s.port()))
	if err != nil {
		return nil, err
	}
	s.argv = []string{"tinyproxy", "-d", "-c", path} // -d: stay in the foreground
	return s, s.startUp()
}

// Microsocks runs a SOCKS5 proxy without a password.
func Microsocks(e *kit.Env, at Place) (*Server, error) {
	s, err := newServer(e, "microsocks", at)
	if err != nil {
		return nil, err
	}
	s.argv = []string{"microsocks", "-i", at.addr(), "-p", s.port()}
	return s, s.startUp()
}

// Mentions reports whether the server's output has a text.
func (s *Server) Mentions(text string) bool { return strings.Contains(s.proc.Tail(1<<30), text) }
