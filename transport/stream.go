package transport

import (
	"net"
	"sync/atomic"
)

// stream is what MQTT is spoken over.
type stream struct {
	net.Conn        // TCP, or TLS or WebSocket above it
	raw      *meter // the socket
	rtoMax   bool   // the kernel bounds the retransmission timer for us
	iface    string // that it is bound to; "": the kernel's choice
	way      string // the interface that it leaves by; "": not known
}

// pin is the path of another connection; the zero value is any.
type pin struct {
	remote, local net.Addr
	iface         string
}

// pinned is the path of s.
func (s *stream) pinned() pin { return pin{s.raw.RemoteAddr(), s.raw.LocalAddr(), s.iface} }

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

// finalCost is cost, and what the end of the connection will add to it.
func (m *meter) finalCost() int64 { return m.cost() + endSegments*headers4 }

// headers is what the socket has cost beyond what it carried.
func (m *meter) headers() int64 { return max(0, m.cost()-m.bytes.Load()) }

// Close books what the socket has cost in the end.
func (m *meter) Close() error {
	m.ledger.closed(m)
	return m.Conn.Close()
}

// accepted ends the handshake. The buffered bytes were counted as part of it and are not.
func (m *meter) accepted(buffered int) {
	m.up.Store(true)
	m.ledger.by[m.cause].Add(-int64(buffered))
	m.ledger.wire.Add(int64(buffered))
}
