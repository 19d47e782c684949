package porttest

import (
	"net"
	"testing"
)

// SerialServer is a TCP server that hands its connections to the test.
func SerialServer(t testing.TB) (address string, conns <-chan *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ch := make(chan *net.TCPConn, 64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			ch <- c.(*net.TCPConn)
		}
	}()
	return l.Addr().String(), ch
}
