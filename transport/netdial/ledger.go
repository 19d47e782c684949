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
	Refused   int64 // messages that nobody took, and what was answered to them
	Log       int64
	Config    int64
	Probe     int64 // probe sessions, and fresh connections that check a late one
	Overhead  int64 // what TLS and WebSocket add to all these once a session is up
	Headers   int64 // of IP and TCP, with acknowledgements and what was sent again, as the kernel counts them (TCP_INFO)
}

// Sum is the bytes read and written, without headers.
func (l Ledger) Sum() int64 {
	return l.Handshake + l.Ping + l.Keepalive + l.Data + l.Cmd + l.Refused + l.Log + l.Config + l.Probe + l.Overhead
}

// Wire is the bytes on the wire: what a data plan counts.
func (l Ledger) Wire() int64 { return l.Sum() + l.Headers }

// Counter counts for a Ledger. The zero value is ready; safe for concurrent use. Bytes of MQTT are booked by cause once a session
// is accepted, and everything that its socket carried meanwhile in wire; the difference is overhead.
type Counter struct {
	by   [causeCount]atomic.Int64 // all but handshake and probe connections are part of wire
	wire atomic.Int64
	mqtt atomic.Int64 // sum of what was booked by Book

	not [causeCount]atomic.Int64 // of what was booked under a cause, what was refused afterwards

	mu       sync.Mutex
	open     map[*Meter]struct{}
	headers  int64             // of sockets that are closed
	reported int64             // the largest sum that was returned, so that none is smaller
	taken    [causeCount]int64 // the most of each cause that was returned, for the same reason
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

// Refuse is called when n bytes that were booked under a cause, or are about to be, turn out to belong to what nobody takes.
func (l *Counter) Refuse(c Cause, n int) { l.not[c].Add(int64(n)) }

// split is what of each cause was taken, and all that was not. Nothing of it ever shrinks, whatever is refused after it was read.
func (l *Counter) split() (taken [causeCount]int64, refused int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range causeCount {
		not, all := l.not[c].Load(), l.by[c].Load()
		l.taken[c] = max(l.taken[c], all-not)
		refused += all - l.taken[c]
	}
	refused += l.taken[CauseRefused]
	return l.taken, refused
}

// Read is what was counted so far.
func (l *Counter) Read() Ledger {
	mqtt := l.mqtt.Load() // before wire: what is booked between the two loads is missing in both
	by, refused := l.split()
	return Ledger{
		Handshake: by[CauseHandshake], Ping: by[CausePing], Data: by[CauseData], Cmd: by[CauseCmd], Refused: refused,
		Log: by[CauseLog], Config: by[CauseConfig], Probe: by[CauseProbe], Overhead: max(0, l.wire.Load()-mqtt),
		Headers: l.allHeaders(),
	}
}

const endSegments = 3 // FIN, FIN, ACK: after the last look at a socket
