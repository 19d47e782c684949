package netlab

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestACutPathIsSilentAndHeals(t *testing.T) {
	kit.Need(t, Tools()...)
	e := kit.Test(t, 30*time.Second)
	l, err := New(e, 2)
	if err != nil {
		t.Fatal(err)
	}
	var listener net.Listener
	if err := kit.InNetns(l.Server, func() (err error) {
		listener, err = net.Listen("tcp", l.ServerIPs[0]+":7000")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go echo(listener)
	c, err := kit.Dialer(l.Device)(e.Ctx, "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if !answers(t, c, patience) {
		t.Fatal("no answer on a whole path")
	}
	if err := l.Cut(l.ServerIPs[0]); err != nil {
		t.Fatal(err)
	}
	if answers(t, c, 500*time.Millisecond) {
		t.Error("an answer through a cut path")
	}
	if err := l.Heal(l.ServerIPs[0]); err != nil {
		t.Fatal(err)
	}
	if !answers(t, c, patience) {
		t.Error("the connection did not survive a short cut")
	}
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(c, c) }()
	}
}

// patience is how long a test waits for what must come: it is over at once where it comes, however busy the machine is.
const patience = 30 * time.Second

func answers(t *testing.T, c net.Conn, within time.Duration) bool {
	t.Helper()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	n, _ := c.Read(make([]byte, 16))
	return n > 0
}
