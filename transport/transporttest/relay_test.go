package transporttest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// patience bounds waits that end by themselves when all is well.
const patience = 30 * time.Second

// lab is a relay before a real listener, and one connection through it. Its clock for the idle limit is the test's.
type lab struct {
	t              *testing.T
	relay          *transporttest.Relay
	client, server *net.TCPConn
	clock          atomic.Int64
}

func newLab(t *testing.T, o transporttest.RelayOptions) *lab {
	t.Helper()
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t}
	o.Target = target.Addr().String()
	o.Now = func() time.Time { return time.Unix(0, l.clock.Load()) }
	if l.relay, err = transporttest.NewRelay(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var run sync.WaitGroup
	run.Go(func() {
		if err := l.relay.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); run.Wait(); target.Close() })
	client, err := net.Dial("tcp", l.relay.Addr())
	if err != nil {
		t.Fatal(err)
	}
	server, err := target.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.client, l.server = client.(*net.TCPConn), server.(*net.TCPConn)
	for _, c := range []net.Conn{client, server} {
		c.SetDeadline(time.Now().Add(patience))
		t.Cleanup(func() { c.Close() })
	}
	return l
}

// pass sends text and expects it at the other end.
func (l *lab) pass(from, to net.Conn, text string) {
	l.t.Helper()
	if _, err := io.WriteString(from, text); err != nil {
		l.t.Fatal(err)
	}
	p := make([]byte, len(text))
	if _, err := io.ReadFull(to, p); err != nil || string(p) != text {
		l.t.Fatalf("%q arrived as %q, %v", text, p, err)
	}
}

// until waits for a condition on the counters, which nothing signals.
func (l *lab) until(what string, ok func(transporttest.RelayCounters) bool) {
	l.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(l.relay.Counters()); <-tick.C {
		if time.Now().After(end) {
			l.t.Fatalf("never: %s: %+v", what, l.relay.Counters())
		}
	}
}

func TestRelayForwards(t *testing.T) {
	for name, o := range map[string]transporttest.RelayOptions{
		"as it is": {}, "late": {Latency: time.Millisecond}, "slowly": {Rate: 100_000},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, o)
			l.pass(l.client, l.server, "up")
			l.pass(l.server, l.client, "down!")
			l.client.CloseWrite()
			if n, err := l.server.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("after the client's FIN: %d, %v", n, err)
			}
			l.pass(l.server, l.client, "still down")
			l.server.Close()
			if n, err := l.client.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("after the server's FIN: %d, %v", n, err)
			}
			l.until("closed", func(c transporttest.RelayCounters) bool { return c.Open == 0 })
			if c := l.relay.Counters(); c.UpBytes != 2 || c.DownBytes != 15 || c.Flows != 1 {
				t.Errorf("counters %+v", c)
			}
		})
	}
}

func TestRelayPassesResets(t *testing.T) {
	l := newLab(t, transporttest.RelayOptions{})
	l.client.SetLinger(0)
	l.client.Close()
	if _, err := l.server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("server read %v", err)
	}
}

func TestRelayForgetsIdleFlows(t *testing.T) {
	o := transporttest.RelayOptions{Idle: time.Minute}
	t.Run("vanish", func(t *testing.T) {
		l := newLab(t, o)
		l.pass(l.client, l.server, "up")
		l.clock.Add(int64(time.Minute - 1))
		l.pass(l.client, l.server, "in time")
		l.clock.Add(int64(time.Minute))
		io.WriteString(l.client, "lost")
		io.WriteString(l.server, "lost too")
		l.until("vanished", func(c transporttest.RelayCounters) bool { return c.Vanished == 12 && c.Forgotten == 1 })
		l.server.Close() // its FIN vanishes too
		l.client.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
		if _, err := l.client.Read(make([]byte, 1)); !isTimeout(err) {
			t.Errorf("client read %v", err)
		}
	})
	t.Run("reset", func(t *testing.T) {
		o.Forget = transporttest.Reset
		l := newLab(t, o)
		l.clock.Add(int64(time.Minute))
		io.WriteString(l.client, "lost")
		if _, err := l.client.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("client read %v", err)
		}
		io.WriteString(l.server, "lost")
		if _, err := l.server.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("server read %v", err)
		}
	})
	t.Run("flush", func(t *testing.T) {
		l := newLab(t, transporttest.RelayOptions{})
		l.pass(l.client, l.server, "up")
		l.relay.Flush()
		io.WriteString(l.client, "lost")
		l.until("vanished", func(c transporttest.RelayCounters) bool { return c.Vanished == 4 })
	})
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.As(err, &e) && e.Timeout()
}

func TestRelayCut(t *testing.T) {
	l := newLab(t, transporttest.RelayOptions{})
	l.pass(l.client, l.server, "up")
	l.relay.Cut(time.Hour)
	io.WriteString(l.client, "held")
	l.server.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := l.server.Read(make([]byte, 10)); !isTimeout(err) {
		t.Errorf("read %d, %v during a cut", n, err)
	}
	l.server.SetReadDeadline(time.Now().Add(patience))
	l.relay.Cut(time.Millisecond)
	l.pass(l.server, l.client, "down")
	p := make([]byte, 4)
	if _, err := io.ReadFull(l.server, p); err != nil || string(p) != "held" {
		t.Errorf("read %q, %v after the cut", p, err)
	}
}

func TestRelayToNobody(t *testing.T) {
	r, err := transporttest.NewRelay(transporttest.RelayOptions{Target: "127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	var run sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	run.Go(func() { r.Run(ctx) })
	defer run.Wait()
	defer cancel()
	c, err := net.Dial("tcp", r.Addr())
	if err == nil { // the RST may be faster than the return of Dial
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("dial or read: %v", err)
	}
}
