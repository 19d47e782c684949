package kit

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// BrokerOptions choose the listeners of a mosquitto. Its store is persistent and its queues have no limit, always:
// what these tests count must not be lost behind the agent's back.
type BrokerOptions struct {
	Netns string // run in this network namespace
	Addr  string // IP to listen on; if empty, 127.0.0.1
	Certs *Certs // with a TLS listener that wants a client certificate
	WS    bool   // with a WebSocket listener
	ACL   string // content of an acl_file; if empty, everybody may do everything. User names are believed
	Conf  string // lines of mosquitto.conf that hold for all listeners
}

// Broker is a real mosquitto that can be stopped, started, frozen and thawed. Its ports stay the same over restarts.
type Broker struct {
	Plain, TLS, WS int // ports; 0 = no such listener

	o    BrokerOptions
	e    *Env
	name string
	dir  string
	proc *Proc
}

// Broker writes a configuration and starts mosquitto with it.
func (e *Env) Broker(o BrokerOptions) (*Broker, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1"
	}
	dir, err := e.Sub("mosquitto")
	if err != nil {
		return nil, err
	}
	b := &Broker{o: o, e: e, dir: dir, name: filepath.Base(dir)}
	if o.ACL != "" {
		if err := os.WriteFile(b.aclFile(), []byte(o.ACL), 0o600); err != nil {
			return nil, fmt.Errorf("acl_file: %w", err)
		}
	}
	for range portTries {
		if err = b.choosePorts(); err != nil {
			return nil, err
		}
		if err = b.Start(); err == nil || !strings.Contains(b.proc.Tail(20), noListener) &&
			!strings.Contains(b.proc.Tail(20), "in use") {
			break
		}
		b.Kill()
	}
	return b, err
}

// noListener is how mosquitto says that it could not have a port.
const noListener = "Unable to create"

// portTries: another process may take a port between our look and the broker's.
const portTries = 3

// choosePorts finds free ports and writes the configuration.
func (b *Broker) choosePorts() (err error) {
	listeners := []*int{&b.Plain}
	if b.o.Certs != nil {
		listeners = append(listeners, &b.TLS)
	}
	if b.o.WS {
		listeners = append(listeners, &b.WS)
	}
	for _, port := range listeners {
		if *port, err = FreePort("127.0.0.1"); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "mosquitto.conf"), []byte(b.conf()), 0o600); err != nil {
		return fmt.Errorf("mosquitto.conf: %w", err)
	}
	return nil
}

func (b *Broker) aclFile() string { return filepath.Join(b.dir, "acl") }

func (b *Broker) conf() string {
	s := "allow_anonymous true\npersistence true\nautosave_interval 0\nmax_queued_messages 0\nmax_queued_bytes 0\n" +
		"max_inflight_messages 1000\nset_tcp_nodelay true\nlog_dest stderr\nlog_type error\nlog_type warning\n" +
		"log_type notice\nconnection_messages true\n" + "log_timestamp_format %Y-%m-%dT%H:%M:%S\n"
	s += "persistence_location " + b.dir + "/\n"
	if os.Geteuid() == 0 {
		s += "user root\n" // else mosquitto gives up root and cannot write its store
	}
	if b.o.ACL != "" {
		// With 0, no limit, mosquitto 2.0.11 closes the connection after each publish that it denies.
		s = strings.Replace(s, "max_queued_messages 0", "max_queued_messages 1000000", 1) + "acl_file " + b.aclFile() + "\n"
	}
	s += b.o.Conf + fmt.Sprintf("listener %d %s\n", b.Plain, b.o.Addr)
	if b.TLS != 0 {
		c := b.o.Certs
		s += fmt.Sprintf("listener %d %s\ncafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate true\n",
			b.TLS, b.o.Addr, c.CA, c.ServerCert, c.ServerKey)
	}
	if b.WS != 0 {
		s += fmt.Sprintf("listener %d %s\nprotocol websockets\n", b.WS, b.o.Addr)
	}
	return s
}

// Rules replaces the content of the acl_file while mosquitto runs, which reads it again some time later.
func (b *Broker) Rules(acl string) error {
	if err := os.WriteFile(b.aclFile(), []byte(acl), 0o600); err != nil {
		return fmt.Errorf("acl_file: %w", err)
	}
	return b.proc.Signal(syscall.SIGHUP)
}

// Start runs mosquitto and waits until it accepts connections.
func (b *Broker) Start() error {
	p, err := b.e.StartProc(b.name, b.o.Netns, nil, "mosquitto", "-c", filepath.Join(b.dir, "mosquitto.conf"))
	if err != nil {
		return err
	}
	b.proc = p
	dial := Dialer(b.o.Netns)
	broken := func() bool { return !p.Running() || strings.Contains(p.Tail(20), noListener) }
	err = b.e.Until(b.name+" to accept", 10*time.Second, func() bool {
		if broken() {
			return true
		}
		if b.WS != 0 { // libwebsockets cannot take a port with connections in TIME_WAIT, and mosquitto hangs then
			c, err := dial(b.e.Ctx, "tcp", net.JoinHostPort(b.o.Addr, strconv.Itoa(b.WS)))
			if err != nil {
				return false
			}
			_ = c.Close()
		}
		c, err := dial(b.e.Ctx, "tcp", b.Host())
		if err != nil {
			return false
		}
		_ = c.Close()
		return true
	})
	if err == nil && broken() {
		err = fmt.Errorf("%s ended: %s", b.name, p.Tail(3))
	}
	return err
}

// Stop ends mosquitto in order: it writes its store.
func (b *Broker) Stop() error {
	ended := make(chan struct{})
	defer close(ended)
	go func() { // asked once more: mosquitto forgets a SIGTERM that comes between its listen and its main loop
		select {
		case <-ended:
		case <-time.After(2 * time.Second):
			_ = b.proc.Signal(syscall.SIGTERM)
		}
	}()
	_, err := b.proc.Stop(10 * time.Second)
	return err
}

// Kill ends mosquitto with SIGKILL, frozen or not.
func (b *Broker) Kill() { b.proc.Kill() }

// Freeze stops the process with SIGSTOP: the kernel still acknowledges TCP for it.
func (b *Broker) Freeze() error { return b.proc.Signal(syscall.SIGSTOP) }

// Thaw lets it go on.
func (b *Broker) Thaw() error { return b.proc.Signal(syscall.SIGCONT) }

// Host is the host:port of the plain listener.
func (b *Broker) Host() string { return net.JoinHostPort(b.o.Addr, strconv.Itoa(b.Plain)) }

// URL of the plain listener; URLs of the others by scheme.
func (b *Broker) URL() string { return b.SchemeURL("mqtt") }

// SchemeURL is the URL of the listener for mqtt, mqtts or ws.
func (b *Broker) SchemeURL(scheme string) string {
	port := map[string]int{"mqtt": b.Plain, "mqtts": b.TLS, "ws": b.WS}[scheme]
	return scheme + "://" + net.JoinHostPort(b.o.Addr, strconv.Itoa(port))
}

// Dial makes a TCP connection from where the broker lives.
func (b *Broker) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return Dialer(b.o.Netns)(ctx, network, addr)
}

// Connects counts the CONNECTs of a client id that mosquitto logged since it was first started.
func (b *Broker) Connects(clientID string) int {
	return strings.Count(b.proc.Tail(1<<30), " as "+clientID+" (")
}

// WaitConnect waits until the client id connected for the nth time.
func (b *Broker) WaitConnect(clientID string, n int, limit time.Duration) error {
	return b.e.Until(fmt.Sprintf("CONNECT %d of %s at %s", n, clientID, b.Host()), limit,
		func() bool { return b.Connects(clientID) >= n })
}
