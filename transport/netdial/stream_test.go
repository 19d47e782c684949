package netdial

import (
	"net"
	"testing"
)

// quickServer is a socket whose server has answered before the write returns.
type quickServer struct {
	net.Conn
	answered func()
}

func (q quickServer) Write(p []byte) (int, error) {
	q.answered()
	return len(p), nil
}

func TestWhatOpensTheSessionIsHandshakeHoweverSoonItIsAnswered(t *testing.T) {
	l := &Counter{}
	m := &Meter{counter: l, cause: CauseHandshake}
	m.Conn = quickServer{answered: func() { m.Accepted(0) }}
	connect := make([]byte, 170)
	if _, err := m.Write(connect); err != nil {
		t.Fatal(err)
	}
	if got := l.by[CauseHandshake].Load(); got != int64(len(connect)) || l.wire.Load() != 0 {
		t.Errorf("handshake %d, of a session that is up %d; want %d and 0", got, l.wire.Load(), len(connect))
	}
	if _, err := m.Write(connect); err != nil {
		t.Fatal(err)
	}
	if got := l.wire.Load(); got != int64(len(connect)) {
		t.Errorf("of a session that is up %d, want %d", got, len(connect))
	}
}
