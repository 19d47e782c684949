package transporttest

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Behaviour is what a NAT does with a packet of a flow that it has forgotten. The words follow what was
// measured on real ones.
type Behaviour int

const (
	// LooseRST makes a new mapping for the client's packet, whatever it is (Linux conntrack with tcp_loose=1), and answers
	// the server's with an RST: the server forgets the connection, the client hears of that with its next packet.
	LooseRST Behaviour = iota
	// LooseSilent makes a new mapping for the client's packet, and drops the server's; they arrive after the client's next.
	LooseSilent
	// Strict drops both (tcp_loose=0, or new flows only on SYN).
	Strict
	// SYNOnly is Strict that answers the client's packet with an RST.
	SYNOnly
)

// String returns the name as the tests spell it.
func (b Behaviour) String() string {
	return [...]string{"loose-rst", "loose-silent", "strict", "syn-only"}[b]
}

const (
	firstRTO    = 200 * time.Millisecond // Linux's TCP_RTO_MIN
	defaultRTO  = time.Second
	orphanLimit = 60 * time.Second  // how long a kernel tries to get rid of the bytes of a closed socket
	synLimit    = 127 * time.Second // Linux's tcp_syn_retries=6
	flightLimit = 64                // packets under way in one direction of a flow
)

// NATOptions of NewNAT. All can be changed later.
type NATOptions struct {
	Idle           time.Duration // how long a flow may be silent before it is forgotten; zero: never
	Behaviour      Behaviour
	RefreshInbound bool          // the server's packets keep a mapping too; RFC 4787 REQ-6 asks only for the client's
	Latency        time.Duration // one way
	MaxRTO         time.Duration // where the doubling of the retransmissions on both ends stops; if zero, 1 s

	Loss float64        // part of all packets that vanish on the client's side
	Rand func() float64 // [0, 1); required with Loss
}

// NATCounters say what passed a NAT, in packets as TCP would send them (a Write or less) and payload bytes.
type NATCounters struct{ UpPackets, UpBytes, DownPackets, DownBytes, Dropped, Resets, Dials int64 }

// NAT stands between clients and the servers of a Network. Safe for concurrent use.
//
// Both ends are modelled as kernels: what the NAT drops they send again, 0.2 s later and then at doubling distances, and
// such a repeat makes or refreshes mappings as the first packet would have.
type NAT struct {
	net *Network

	mu       sync.Mutex
	o        NATOptions
	cutUntil time.Time
	flushes  int
	count    NATCounters
}

// NewNAT returns a NAT before n.
func NewNAT(n *Network, o NATOptions) *NAT { return &NAT{net: n, o: o} }

// SetIdle changes the idle limit, at once and for known flows too; zero: none.
func (n *NAT) SetIdle(d time.Duration) { n.set(func() { n.o.Idle = d }) }

// SetBehaviour changes what happens to packets of forgotten flows.
func (n *NAT) SetBehaviour(b Behaviour) { n.set(func() { n.o.Behaviour = b }) }

// SetLatency changes the one-way latency of packets sent from now on.
func (n *NAT) SetLatency(d time.Duration) { n.set(func() { n.o.Latency = d }) }

// SetLoss changes the part of all packets that vanish.
func (n *NAT) SetLoss(part float64) { n.set(func() { n.o.Loss = part }) }

// Flush forgets every mapping.
func (n *NAT) Flush() { n.set(func() { n.flushes++ }) }

// Cut drops every packet, of all flows, both ways, for d from now, on the client's side of the NAT: no mapping is refreshed
// meanwhile. Zero or less ends a cut.
func (n *NAT) Cut(d time.Duration) { n.set(func() { n.cutUntil = time.Now().Add(d) }) }

// Counters returns what has passed so far.
func (n *NAT) Counters() (c NATCounters) {
	n.set(func() { c = n.count })
	return c
}

func (n *NAT) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *NAT) options() (o NATOptions) {
	n.set(func() { o = n.o })
	return o
}

// Dial connects to address through the NAT. During a cut it waits, repeating the SYN, until ctx ends or the kernel's own
// limit of 127 s. It fits transport's Options.
func (n *NAT) Dial(ctx context.Context, _, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: addr(address), Err: err}
	}
	limit := time.Now().Add(synLimit)
	for n.cut() {
		if time.Now().After(limit) {
			return fail(os.NewSyscallError("connect", syscall.ETIMEDOUT))
		}
		if err := sleep(ctx, time.Second); err != nil {
			return fail(err)
		}
	}
	if err := sleep(ctx, 2*n.options().Latency); err != nil {
		return fail(err)
	}
	return n.connect(ctx, address)
}

func (n *NAT) connect(ctx context.Context, address string) (net.Conn, error) {
	var f *flow
	client, server, l, err := n.net.pair(address, func() (*Conn, *Conn) {
		f = newFlow(n)
		return f.client, f.server
	})
	if err != nil {
		return nil, err
	}
	n.set(func() { n.count.Dials++ })
	f.start()
	return client, l.offer(ctx, client, server)
}

func (n *NAT) cut() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Before(n.cutUntil)
}

// verdict is what becomes of one packet.
type verdict int

const (
	deliver verdict = iota
	drop
	reset // answered with an RST by the NAT
)

// judge decides on a packet of f with size payload bytes and books it.
func (n *NAT) judge(f *flow, up bool, size int) verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := n.decide(f, up, time.Now())
	if v == deliver && n.o.Loss > 0 && n.o.Rand() < n.o.Loss {
		v = drop
	}
	switch {
	case v == drop:
		n.count.Dropped++
	case v == reset:
		n.count.Resets++
	case up:
		n.count.UpPackets, n.count.UpBytes = n.count.UpPackets+1, n.count.UpBytes+int64(size)
	default:
		n.count.DownPackets, n.count.DownBytes = n.count.DownPackets+1, n.count.DownBytes+int64(size)
	}
	return v
}

func (n *NAT) decide(f *flow, up bool, now time.Time) verdict {
	if now.Before(n.cutUntil) {
		return drop
	}
	if expired := n.o.Idle > 0 && now.Sub(f.used) >= n.o.Idle; expired || f.flushes != n.flushes {
		f.mapped, f.flushes = false, n.flushes
	}
	loose := n.o.Behaviour == LooseRST || n.o.Behaviour == LooseSilent
	switch {
	case f.mapped, up && loose:
		if f.mapped = true; up || n.o.RefreshInbound {
			f.used = now
		}
		return deliver
	case up && n.o.Behaviour == SYNOnly, !up && n.o.Behaviour == LooseRST:
		return reset
	}
	return drop
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
