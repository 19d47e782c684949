package transporttest

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"
)

// packetLimit is the most payload that one packet carries, in bytes.
const packetLimit = 16 << 10

// flow is one connection through a NAT.
type flow struct {
	nat            *NAT
	client, server *Conn

	// guarded by nat.mu
	mapped  bool
	used    time.Time // last packet that refreshed the mapping
	flushes int       // of the NAT, when the mapping was made
}

// packet is under way; data nil means FIN.
type packet struct {
	data []byte
	due  time.Time
}

func newFlow(n *NAT) *flow {
	f := &flow{nat: n, mapped: true, used: time.Now()}
	n.set(func() { f.flushes = n.flushes })
	f.client = newConn(newStream(), newStream(), nil, nil)
	f.server = newConn(newStream(), newStream(), nil, nil)
	f.client.onReset = func() { f.sendRST(true) }
	f.server.onReset = func() { f.sendRST(false) }
	return f
}

// start runs the flow until both directions have ended.
func (f *flow) start() {
	for _, up := range []bool{true, false} {
		underway := make(chan packet, flightLimit)
		go f.send(up, underway)
		go f.arrive(up, underway)
	}
}

// ends returns sender and receiver of one direction.
func (f *flow) ends(up bool) (from, to *Conn) {
	if up {
		return f.client, f.server
	}
	return f.server, f.client
}

// send is the sender's kernel: it takes what was written, and sends it until the NAT lets it pass.
func (f *flow) send(up bool, underway chan<- packet) {
	defer close(underway)
	from, _ := f.ends(up)
	buf := make([]byte, packetLimit)
	for {
		n, err := from.out.read(buf, nil)
		if err != nil && !errors.Is(err, io.EOF) {
			return
		}
		p := packet{}
		if err == nil {
			p.data = append([]byte{}, buf[:n]...)
		}
		if !f.pass(up, p) {
			return
		}
		p.due = time.Now().Add(f.nat.options().Latency)
		select {
		case underway <- p:
		case <-from.out.failed:
			return
		}
		if p.data == nil {
			return
		}
	}
}

// pass repeats p until it is through; false when the sender is not to be helped.
func (f *flow) pass(up bool, p packet) bool {
	from, _ := f.ends(up)
	o := f.nat.options()
	wait, orphaned := firstRTO+2*o.Latency, time.Duration(0)
	for {
		switch f.nat.judge(f, up, len(p.data)) {
		case deliver:
			return true
		case reset:
			from.break_(errReset())
			return false
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-from.out.failed:
			t.Stop()
			return false
		}
		if from.out.orphaned() {
			orphaned += wait
		}
		if orphaned > orphanLimit {
			from.break_(os.NewSyscallError("write", syscall.ETIMEDOUT))
			return false
		}
		limit := f.nat.options().MaxRTO
		if limit <= 0 {
			limit = defaultRTO
		}
		wait = max(min(2*wait, limit), firstRTO)
	}
}

// arrive is the receiver's kernel.
func (f *flow) arrive(up bool, underway <-chan packet) {
	_, to := f.ends(up)
	for p := range underway {
		if d := time.Until(p.due); d > 0 {
			select {
			case <-time.After(d):
			case <-to.in.failed:
			}
		}
		if p.data == nil {
			to.in.end()
			continue
		}
		if to.in.unreachable() {
			f.sendRST(!up)
			continue
		}
		if _, err := to.in.write(p.data, nil); err != nil {
			f.sendRST(!up)
		}
	}
}

// sendRST sends an RST, once, as RSTs are sent. The receiver's connection ends when it arrives.
func (f *flow) sendRST(up bool) {
	if f.nat.judge(f, up, 0) != deliver {
		return
	}
	_, to := f.ends(up)
	arrive := func() { to.break_(errReset()) }
	if d := f.nat.options().Latency; d > 0 {
		time.AfterFunc(d, arrive)
		return
	}
	arrive()
}
