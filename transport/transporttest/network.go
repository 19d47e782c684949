package transporttest

import (
	"context"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// backlog is how many connections a Listener holds that were not accepted yet; further dials wait, as SYNs would.
const backlog = 128

// Network is a small internet in memory: listeners by address. Safe for concurrent use.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*Listener
	ports     int
	links     map[*Conn]struct{} // every end ever made, so that Close leaves no goroutine behind
	closed    bool
}

// NewNetwork returns a network without listeners.
func NewNetwork() *Network {
	return &Network{listeners: map[string]*Listener{}, links: map[*Conn]struct{}{}}
}

// Listen opens addr ("broker:1883"); an error when it is taken.
func (n *Network) Listen(address string) (*Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("listen %s: %w", address, syscall.EADDRINUSE)
	}
	l := &Listener{net: n, addr: addr(address), conns: make(chan *Conn, backlog), closed: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

// Dial connects to address without a NAT in between. ECONNREFUSED when nothing listens there. It fits transport's Options.
func (n *Network) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	client, server, l, err := n.pair(address, Pipe)
	if err != nil {
		return nil, err
	}
	return client, l.offer(ctx, client, server)
}

// pair makes two ends by how for a listener of address and gives them addresses.
func (n *Network) pair(address string, how func() (client, server *Conn)) (*Conn, *Conn, *Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.listeners[address]
	if l == nil || n.closed {
		err := os.NewSyscallError("connect", syscall.ECONNREFUSED)
		return nil, nil, nil, &net.OpError{Op: "dial", Net: "tcp", Addr: addr(address), Err: err}
	}
	n.ports++
	from := addr(fmt.Sprintf("client:%d", n.ports))
	client, server := how()
	client.local, client.remote, server.local, server.remote = from, l.addr, l.addr, from
	n.links[client], n.links[server] = struct{}{}, struct{}{}
	return client, server, l, nil
}

// Close ends every connection and listener; the goroutines of NATs end with them.
func (n *Network) Close() {
	n.mu.Lock()
	n.closed = true
	listeners, links := n.listeners, n.links
	n.listeners, n.links = map[string]*Listener{}, map[*Conn]struct{}{}
	n.mu.Unlock()
	for _, l := range listeners {
		l.shut()
	}
	for c := range links {
		_ = c.Reset()
		c.break_(errReset())
	}
}

// Listener accepts the connections dialled to one address. Safe for concurrent use.
type Listener struct {
	net    *Network
	addr   addr
	conns  chan *Conn
	closed chan struct{}
	once   sync.Once
}

// offer queues server for Accept.
func (l *Listener) offer(ctx context.Context, client, server *Conn) error {
	select {
	case l.conns <- server:
		return nil
	case <-l.closed:
		_ = client.Reset()
		return &net.OpError{Op: "dial", Net: "tcp", Addr: l.addr, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case <-ctx.Done():
		_ = client.Reset()
		return &net.OpError{Op: "dial", Net: "tcp", Addr: l.addr, Err: ctx.Err()}
	}
}

// Accept implements net.Listener; the connection is a *Conn.
func (l *Listener) Accept() (net.Conn, error) {
	if !isClosed(l.closed) {
		select {
		case <-l.closed:
		case c := <-l.conns:
			return c, nil
		}
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
}

// Close implements net.Listener: later dials are refused, connections stay.
func (l *Listener) Close() error {
	l.net.mu.Lock()
	if l.net.listeners[string(l.addr)] == l {
		delete(l.net.listeners, string(l.addr))
	}
	l.net.mu.Unlock()
	l.shut()
	return nil
}

func (l *Listener) shut() { l.once.Do(func() { close(l.closed) }) }

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.addr }
