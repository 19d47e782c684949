package transporttest

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Forget is what a Relay does with the bytes of a flow that it has forgotten.
type Forget int

const (
	Vanish Forget = iota // they are taken and lost; both connections stay open, as through a strict NAT
	Reset                // whoever sends them gets an RST
)

// RelayOptions of NewRelay. Only Target has no default.
type RelayOptions struct {
	Listen  string        // if empty, a free port of 127.0.0.1
	Target  string        // "127.0.0.1:1883"
	Idle    time.Duration // a flow whose client is silent this long is forgotten; zero: never
	Forget  Forget
	Latency time.Duration    // one way
	Rate    int64            // bytes a second, per flow and direction; zero: unlimited
	Now     func() time.Time // for the idle limit; if nil, time.Now
}

// RelayCounters say what has passed a Relay. Vanished are bytes of forgotten flows.
type RelayCounters struct{ Flows, Open, Forgotten, UpBytes, DownBytes, Vanished int64 }

// Relay is a carrier NAT in user space: it listens on loopback and forwards each connection to a target over real TCP. Safe
// for concurrent use.
//
// It ends TCP on both sides, so that a client's bytes are acknowledged by the relay's kernel and not by the server's: what
// a cut or a forgotten flow does to a client shows in the protocol above TCP only. That is the harder case.
type Relay struct {
	o        RelayOptions
	listener net.Listener
	idle     atomic.Int64
	flushes  atomic.Int64

	flows, open, forgotten, up, down, vanished atomic.Int64

	mu   sync.Mutex
	held chan struct{} // nil, or closed when the cut ends
	heal *time.Timer
}

// NewRelay listens; connections are served once Run runs.
func NewRelay(o RelayOptions) (*Relay, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("relay to %s: %w", o.Target, err)
	}
	r := &Relay{o: o, listener: l}
	r.SetIdle(o.Idle)
	return r, nil
}

// Addr returns where the relay listens, "127.0.0.1:40123".
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// SetIdle changes the idle limit, for known flows too.
func (r *Relay) SetIdle(d time.Duration) { r.idle.Store(int64(d)) }

// Flush forgets every flow.
func (r *Relay) Flush() { r.flushes.Add(1) }

// Counters returns what has passed so far.
func (r *Relay) Counters() RelayCounters {
	return RelayCounters{Flows: r.flows.Load(), Open: r.open.Load(), Forgotten: r.forgotten.Load(),
		UpBytes: r.up.Load(), DownBytes: r.down.Load(), Vanished: r.vanished.Load()}
}

// Cut lets nothing through for d from now, both ways, new connections included; what is sent meanwhile arrives afterwards,
// as TCP's repeats would. Zero or less ends a cut.
func (r *Relay) Cut(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.heal != nil {
		r.heal.Stop()
	}
	if d <= 0 {
		r.release()
		return
	}
	if r.held == nil {
		r.held = make(chan struct{})
	}
	r.heal = time.AfterFunc(d, func() { r.Cut(0) })
}

// release lets everything through again; mu is held.
func (r *Relay) release() {
	if r.held != nil {
		close(r.held)
		r.held = nil
	}
}

// pass waits while there is a cut.
func (r *Relay) pass(ctx context.Context) error {
	for {
		r.mu.Lock()
		held := r.held
		r.mu.Unlock()
		if held == nil {
			return ctx.Err()
		}
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Run forwards until ctx ends; then it closes every connection, waits for what it started, and returns nil.
func (r *Relay) Run(ctx context.Context) error {
	var flows sync.WaitGroup
	defer flows.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = r.listener.Close() })()
	for {
		client, err := r.listener.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("relay to %s: %w", r.o.Target, err)
		}
		flows.Go(func() { r.forward(ctx, client.(*net.TCPConn)) })
	}
}

// forward serves one connection until both directions have ended.
func (r *Relay) forward(ctx context.Context, client *net.TCPConn) {
	defer closeTCP(client)
	r.flows.Add(1)
	r.open.Add(1)
	defer r.open.Add(-1)
	if r.pass(ctx) != nil {
		return
	}
	f := &relayFlow{r: r, used: r.o.Now(), flushes: r.flushes.Load()}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", r.o.Target)
	if err != nil {
		resetTCP(client) // nothing there: the client is refused, as late as that is
		return
	}
	server := conn.(*net.TCPConn)
	defer closeTCP(server)
	defer context.AfterFunc(ctx, func() { closeTCP(client, server) })()
	var both sync.WaitGroup
	both.Go(func() { f.pump(ctx, client, server, true) })
	both.Go(func() { f.pump(ctx, server, client, false) })
	both.Wait()
}
