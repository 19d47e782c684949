package transporttest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
	"golang.org/x/net/nettest"
)

func TestPipeIsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (net.Conn, net.Conn, func(), error) {
		a, b := transporttest.Pipe()
		return a, b, func() { a.Close(); b.Close() }, nil
	})
}

// what the client sees of the things a server can do to a connection.
func TestEnds(t *testing.T) {
	for _, tt := range []struct {
		name           string
		server         func(c *transporttest.Conn)
		read           string
		readErr, write error
	}{
		{"fin: what was sent, then the end", func(c *transporttest.Conn) { c.Write([]byte("bye")); c.Close() }, "bye", nil,
			syscall.ECONNRESET},
		{"half close: writing goes on", func(c *transporttest.Conn) { c.Write([]byte("bye")); c.CloseWrite() }, "bye", nil, nil},
		{"reset: what was sent is lost", func(c *transporttest.Conn) { c.Write([]byte("bye")); c.Reset() }, "",
			syscall.ECONNRESET, syscall.ECONNRESET},
		{"deaf reader: bytes vanish", func(c *transporttest.Conn) { c.CloseRead(); c.CloseWrite() }, "", nil, nil},
	} {
		for _, through := range []string{"pipe", "nat"} {
			t.Run(through+"/"+tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client, server := connect(t, through)
					tt.server(server)
					synctest.Wait()
					got, err := io.ReadAll(client)
					if string(got) != tt.read || !errors.Is(err, tt.readErr) {
						t.Errorf("read %q, %v; want %q, %v", got, err, tt.read, tt.readErr)
					}
					_, _ = client.Write([]byte("x")) // through a NAT the RST answers the first byte
					synctest.Wait()
					if _, err := client.Write([]byte("x")); !errors.Is(err, tt.write) {
						t.Errorf("write %v, want %v", err, tt.write)
					}
				})
			})
		}
	}
}

// connect returns both ends of a connection, closed with the test.
func connect(t *testing.T, through string) (client, server *transporttest.Conn) {
	t.Helper()
	if through == "pipe" {
		return transporttest.Pipe()
	}
	n := transporttest.NewNetwork()
	t.Cleanup(n.Close)
	return dial(t, n, transporttest.NewNAT(n, transporttest.NATOptions{}))
}

func dial(t *testing.T, n *transporttest.Network, nat *transporttest.NAT) (client, server *transporttest.Conn) {
	t.Helper()
	l, err := n.Listen("broker:1883")
	if err != nil {
		t.Fatal(err)
	}
	c, err := nat.Dial(t.Context(), "tcp", "broker:1883")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return c.(*transporttest.Conn), s.(*transporttest.Conn)
}

func TestFullBufferBlocksDurably(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := transporttest.Pipe()
		begin := time.Now()
		client.SetWriteDeadline(begin.Add(time.Hour))
		n, err := client.Write(make([]byte, 1<<20))
		if n != 64<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", n, err)
		}
		if took := time.Since(begin); took != time.Hour {
			t.Errorf("blocked for %v", took)
		}
	})
}

func TestReadWaitsForALaterDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := transporttest.Pipe()
		client.SetReadDeadline(time.Now().Add(time.Minute))
		time.AfterFunc(30*time.Second, func() { client.SetReadDeadline(time.Now().Add(time.Hour)) })
		time.AfterFunc(2*time.Minute, func() { server.Write([]byte("late")) })
		p := make([]byte, 10)
		if n, err := client.Read(p); err != nil || !bytes.Equal(p[:n], []byte("late")) {
			t.Errorf("read %q, %v", p[:n], err)
		}
	})
}

func TestCloseWakesBlockedCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := transporttest.Pipe()
		errs := make(chan error, 2)
		go func() { _, err := client.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := client.Write(make([]byte, 1<<20)); errs <- err }()
		synctest.Wait()
		client.Close()
		for range 2 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
		if err := client.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second close: %v", err)
		}
	})
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		defer n.Close()
		if _, err := n.Dial(t.Context(), "tcp", "nobody:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial to nobody: %v", err)
		}
		l, err := n.Listen("broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := n.Listen("broker:1883"); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("second listener: %v", err)
		}
		c, err := n.Dial(t.Context(), "tcp", "broker:1883")
		if err != nil || c.RemoteAddr().String() != "broker:1883" {
			t.Errorf("dial: %v, %v", c, err)
		}
		l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept after close: %v", err)
		}
		if _, err := n.Dial(t.Context(), "tcp", "broker:1883"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dial after close: %v", err)
		}
	})
}
