package netdial

import (
	"sync"
	"sync/atomic"
)

// Ledger counts the bytes of our sockets, both directions, by cause, since New. All but Headers is what was read and written;
// with Headers their sum is what went over the wire.
type Ledger struct {
	Handshake int64 // TLS, WebSocket, CONNECT, SUBSCRIBE, birth and will
	Ping      int64 // PINGREQ and PINGRESP
	Keepalive int64 // TCP keepalive: always 0, as it is off
	Data      int64
	Cmd       int64
	Log       int64
	Config    int64
	Probe     int64 // probe sessions, and fresh connections that check a late one
	Overhead  int64 // what TLS and WebSocket add to all these once a session is up
	Headers   int64 // of IP and TCP, with acknowledgements and what was sent again, as the kernel counts them (TCP_INFO)
}

// Sum is the bytes read and written, without headers.
func (l Ledger) Sum() int64 {
	return l.Handshake + l.Ping + l.Keepalive + l.Data + l.Cmd + l.Log + l.Config + l.Probe + l.Overhead
}

// Wire is the bytes on the wire: what a data plan counts.
func (l Ledger) Wire() int64 { return l.Sum() + l.Headers }

// Counter counts for a Ledger. The zero value is ready; safe for concurrent use. Bytes of MQTT are booked by cause once a session
// is accepted, and everything that its socket carried meanwhile in wire; the difference is overhead.
type Counter struct {
	by   [causeCount]atomic.Int64 // all but handshake and probe connections are part of wire
	wire atomic.Int64
	mqtt atomic.Int64 // sum of what was booked by Book

	mu       sync.Mutex
	open     map[*Meter]struct{}
	headers  int64 // of sockets that are closed
	reported int64 // the largest sum that was returned, so that none is smaller
}

// opened and closed are called with each socket.
func (l *Counter) opened(m *Meter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[*Meter]struct{}{}
	}
	l.open[m] = struct{}{}
}

func (l *Counter) closed(m *Meter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.open[m]; ok {
		delete(l.open, m)
		l.headers += m.headers() + endSegments*Headers4
	}
}

// allHeaders are those of all sockets so far.
func (l *Counter) allHeaders() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.headers
	for m := range l.open {
		n += m.headers()
	}
	l.reported = max(l.reported, n) // what waits in a send buffer was read as carried already
	return l.reported
}

// Book enters n bytes of one MQTT packet of an accepted session.
func (l *Counter) Book(c Cause, n int) {
	if c >= causeCount {
		c = CauseData
	}
	l.by[c].Add(int64(n))
	l.mqtt.Add(int64(n))
}

// Read is what was counted so far.
func (l *Counter) Read() Ledger {
	get := func(c Cause) int64 { return l.by[c].Load() }
	mqtt := l.mqtt.Load() // before wire: what is booked between the two loads is missing in both
	return Ledger{
		Handshake: get(CauseHandshake), Ping: get(CausePing), Data: get(CauseData), Cmd: get(CauseCmd), Log: get(CauseLog),
		Config: get(CauseConfig), Probe: get(CauseProbe), Overhead: max(0, l.wire.Load()-mqtt),
		Headers: l.allHeaders(),
	}
}

const endSegments = 3 // FIN, FIN, ACK: after the last look at a socket
