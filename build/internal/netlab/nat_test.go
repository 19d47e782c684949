package netlab

import (
	"net"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

const (
	testLimit  = 2 * time.Second
	testBefore = 1500 * time.Millisecond
	testAfter  = 3 * time.Second
)

// What each behaviour does to a push of the server and to a ping of the client, before and after the limit: the table that the
// heartbeat stands on.
func TestBehaviours(t *testing.T) {
	kit.Need(t, NATTools()...)
	for _, b := range Behaviours() {
		t.Run(b.String(), func(t *testing.T) {
			t.Parallel() // they mostly wait
			e := kit.Test(t, time.Minute)
			l, err := NewNAT(e, b, testLimit)
			if err != nil {
				t.Fatal(err)
			}
			pair := func() (client, server net.Conn) { return connect(t, e, l) }

			arrived, late := false, true
			for try := 0; late && !arrived && try < 10; try++ { // a busy machine may sleep beyond the limit
				client, server := pair()
				start := time.Now()
				e.Sleep(testBefore)
				arrived = reaches(server, client, time.Second)
				late = time.Since(start)-time.Second > testLimit
			}
			if !arrived {
				t.Error("a push within the limit did not arrive")
			}
			client, server := pair()
			e.Sleep(testAfter)
			if reaches(server, client, time.Second) {
				t.Error("a push beyond the limit arrived")
			}
			client, server = pair()
			e.Sleep(testAfter)
			if got := reaches(client, server, 2*time.Second); got != b.Loose() {
				t.Errorf("the client's packet beyond the limit arrived: %v", got)
			}
			client, server = pair()
			if err := l.Flush(); err != nil {
				t.Fatal(err)
			}
			if reaches(server, client, time.Second) {
				t.Error("a push after a flush arrived")
			}
			client, server = pair()
			if err := l.Cut(); err != nil {
				t.Fatal(err)
			}
			if reaches(client, server, 500*time.Millisecond) {
				t.Error("a packet passed a cut path")
			}
			if err := l.Heal(); err != nil {
				t.Fatal(err)
			}
			if !reaches(client, server, patience) {
				t.Error("the connection did not survive a short cut")
			}
		})
	}
}

// connect is a TCP connection from the device to the server.
func connect(t *testing.T, e *kit.Env, l *NATLab) (client, server net.Conn) {
	t.Helper()
	var listener net.Listener
	err := kit.InNetns(l.Server, func() (err error) {
		listener, err = net.Listen("tcp", NATServerIP+":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if client, err = kit.Dialer(l.Device)(e.Ctx, "tcp", listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{client, server} {
		_ = c.(*net.TCPConn).SetKeepAlive(false)
		t.Cleanup(func() { _ = c.Close() })
	}
	return client, server
}

// reaches sends a byte one way and reports whether it came out in time.
func reaches(from, to net.Conn, within time.Duration) bool {
	if _, err := from.Write([]byte{1}); err != nil {
		return false
	}
	_ = to.SetReadDeadline(time.Now().Add(within))
	n, _ := to.Read(make([]byte, 1))
	return n == 1
}
