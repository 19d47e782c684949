package netdial

import (
	"net"
	"sync/atomic"
	"time"
)

// LastWords is how long a connection that ends is given for what the other side said before.
const LastWords = 200 * time.Millisecond

// Stream is what MQTT is spoken over.
type Stream struct {
	net.Conn         // TCP, or TLS or WebSocket above it
	Raw       *Meter // the socket
	RTOMax    bool   // the kernel bounds the retransmission timer for us
	Bound     string // the interface that it is bound to; "": the kernel's choice
	Interface string // the interface that it leaves by; "": not known
}

// Path pins a connection to that of another one; the zero value is any.
type Path struct {
	Remote, Local net.Addr // nil: any
	Interface     string   // "": any
}

// Path is the path of s.
func (s *Stream) Path() Path { return Path{s.Raw.RemoteAddr(), s.Raw.LocalAddr(), s.Bound} }

// Meter counts the bytes of a socket. Until Up they are booked under cause, then under wire.
type Meter struct {
	net.Conn
	Up atomic.Bool // read only; Accepted sets it

	counter *Counter
	cause   Cause
	bytes   atomic.Int64
	calls   atomic.Int64 // that moved something
}

// NewMeter counts what c carries from now on.
func NewMeter(c net.Conn, l *Counter, cause Cause) *Meter {
	m := &Meter{Conn: c, counter: l, cause: cause}
	l.opened(m)
	return m
}

// Read counts what it reads.
func (m *Meter) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	m.count(n, m.Up.Load())
	return n, err
}

// Write counts what it writes, and books it by how the session was before: the answer to CONNECT may be read before Write
// returns.
func (m *Meter) Write(p []byte) (int, error) {
	up := m.Up.Load()
	n, err := m.Conn.Write(p)
	m.count(n, up)
	return n, err
}

func (m *Meter) count(n int, up bool) {
	m.bytes.Add(int64(n))
	m.calls.Add(1)
	if up {
		m.counter.wire.Add(int64(n))
		return
	}
	m.counter.by[m.cause].Add(int64(n))
}

// Cost is what the socket has cost on the wire so far, in bytes: as the kernel counts it, or else a segment and its
// acknowledgement for each call, and those of the beginning and the end.
func (m *Meter) Cost() int64 {
	if n, ok := wireCost(m.Conn); ok {
		return n
	}
	return m.bytes.Load() + Headers4*(2*m.calls.Load()+6)
}

// FinalCost is Cost, and what the end of the connection will add to it.
func (m *Meter) FinalCost() int64 { return m.Cost() + endSegments*Headers4 }

// headers is what the socket has cost beyond what it carried.
func (m *Meter) headers() int64 { return max(0, m.Cost()-m.bytes.Load()) }

// Close books what the socket has cost in the end.
func (m *Meter) Close() error {
	m.counter.closed(m)
	return m.Conn.Close()
}

// Accepted ends the handshake. The buffered bytes were counted as part of it and are not.
func (m *Meter) Accepted(buffered int) {
	m.Up.Store(true)
	m.counter.by[m.cause].Add(-int64(buffered))
	m.counter.wire.Add(int64(buffered))
}
