// Package servers runs the real programs that a fleet's uplink meets besides mosquitto: NATS as a cluster, RabbitMQ, a load
// balancer, proxies. Each is a child process with a generated configuration in the Env's folder, ended by its pid.
package servers

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Place is where a server listens.
type Place struct {
	Netns string // if empty, our own network namespace
	Addr  string // if empty, 127.0.0.1
}

func (p Place) addr() string {
	if p.Addr == "" {
		return "127.0.0.1"
	}
	return p.Addr
}

func (p Place) host(port int) string { return net.JoinHostPort(p.addr(), strconv.Itoa(port)) }

// Server is one process that can be killed and started again with the same configuration, ports and data.
type Server struct {
	Host string // host:port that clients dial

	e     *kit.Env
	at    Place
	name  string
	dir   string
	argv  []string
	env   []string
	wait  time.Duration // until it must answer
	ready func() bool   // more than that Host accepts; may be nil
	said  string        // its last excuse for not being ready
	proc  *kit.Proc
}

// newServer makes the folder; the caller fills in argv and starts it.
func newServer(e *kit.Env, program string, at Place) (*Server, error) {
	dir, err := e.Sub(program)
	if err != nil {
		return nil, err
	}
	port, err := kit.FreePort("127.0.0.1")
	if err != nil {
		return nil, err
	}
	return &Server{Host: at.host(port), e: e, at: at, name: filepath.Base(dir), dir: dir, wait: 10 * time.Second}, nil
}

// port of Host.
func (s *Server) port() string {
	_, port, _ := net.SplitHostPort(s.Host) // we joined it
	return port
}

// file writes one configuration file and returns its path.
func (s *Server) file(name, text string) (string, error) {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return path, nil
}

// Start runs the server; it does not wait.
func (s *Server) Start() (err error) {
	s.proc, err = s.e.StartProc(s.name, s.at.Netns, s.env, s.argv...)
	return err
}

// WaitReady waits until it answers. A server that ended is an error at once.
func (s *Server) WaitReady() error {
	err := s.e.Until(s.name+" to answer", s.wait, func() bool {
		return !s.proc.Running() || s.accepts() && (s.ready == nil || s.ready())
	})
	if err == nil && !s.proc.Running() {
		err = fmt.Errorf("%s ended", s.name)
	}
	if err != nil {
		return fmt.Errorf("%w %s\n%s", err, s.said, s.proc.Tail(20))
	}
	return nil
}

func (s *Server) startUp() error {
	if err := s.Start(); err != nil {
		return err
	}
	return s.WaitReady()
}

func (s *Server) accepts() bool {
	c, err := kit.Dialer(s.at.Netns)(s.e.Ctx, "tcp", s.Host)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// Kill ends the process with SIGKILL.
func (s *Server) Kill() { s.proc.Kill() }

// Proc is the running (or last) process.
func (s *Server) Proc() *kit.Proc { return s.proc }

// URL for MQTT clients.
func (s *Server) URL() string { return "mqtt://" + s.Host }
