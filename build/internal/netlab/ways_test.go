package netlab

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// joined is a TCP connection from the device to a server address.
func joined(t *testing.T, e *kit.Env, w *Ways, ip string) net.Conn {
	t.Helper()
	var listener net.Listener
	err := kit.InNetns(w.Server, func() (err error) {
		listener, err = net.Listen("tcp", ip+":0")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go echo(listener)
	c, err := kit.Dialer(w.Device)(e.Ctx, "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func ways(t *testing.T, o WaysOptions) (*kit.Env, *Ways) {
	t.Helper()
	kit.Need(t, WaysTools()...)
	e := kit.Test(t, time.Minute)
	w, err := NewWays(e, o)
	if err != nil {
		t.Fatal(err)
	}
	return e, w
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestACableOutAndInKeepsAConnection(t *testing.T) {
	e, w := ways(t, WaysOptions{Servers: 1})
	file, stop, err := w.Capture(e, Wan0)
	ok(t, err)
	c := joined(t, e, w, w.ServerIPs[0])
	if !answers(t, c, patience) {
		t.Fatal("no answer on a whole path")
	}
	ok(t, w.Cable(Wan0, false))
	if answers(t, c, 500*time.Millisecond) {
		t.Error("an answer without a cable")
	}
	ok(t, w.Cable(Wan0, true))
	if !answers(t, c, patience) {
		t.Error("the connection did not survive")
	}
	ok(t, stop())
	if info, err := os.Stat(file); err != nil || info.Size() < 500 {
		t.Errorf("capture: %v, %v", info, err)
	}
}

func TestAConnectionDoesNotFollowARoute(t *testing.T) {
	e, w := ways(t, WaysOptions{Servers: 1})
	c := joined(t, e, w, w.ServerIPs[0])
	if !answers(t, c, patience) {
		t.Fatal("no answer on a whole path")
	}
	ok(t, w.Prefer(Wan1))
	if answers(t, c, 500*time.Millisecond) {
		t.Error("the old connection works over the other way")
	}
	if !answers(t, joined(t, e, w, w.ServerIPs[0]), patience) {
		t.Error("a new connection does not work over the other way")
	}
}

func TestABlackHoleTakesOneServerOnly(t *testing.T) {
	e, w := ways(t, WaysOptions{Servers: 2})
	a, b := joined(t, e, w, w.ServerIPs[0]), joined(t, e, w, w.ServerIPs[1])
	ok(t, w.BlackHole(w.ServerIPs[0]))
	if answers(t, a, 500*time.Millisecond) {
		t.Error("an answer out of the black hole")
	}
	if !answers(t, b, patience) {
		t.Error("the other server is silent too")
	}
	ok(t, w.Heal(w.ServerIPs[0]))
	if !answers(t, a, patience) {
		t.Error("no answer after healing")
	}
}

func TestASlowCableIsAsSlowAsItSays(t *testing.T) {
	e, w := ways(t, WaysOptions{Servers: 1, Delay: 50 * time.Millisecond})
	c := joined(t, e, w, w.ServerIPs[0])
	best := time.Hour
	for range 20 { // on a busy machine most are slower
		start := time.Now()
		if !answers(t, c, patience) {
			t.Fatal("no answer")
		}
		took := time.Since(start)
		if took < 100*time.Millisecond {
			t.Fatalf("a round trip of %v, want at least 100 ms", took)
		}
		if best = min(best, took); best <= 200*time.Millisecond {
			return
		}
	}
	t.Errorf("the fastest of 20 round trips took %v, want 100 ms", best)
}
