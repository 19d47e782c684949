package transporttest_test

import (
	"context"
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

const idle = 6 * time.Second

// receiver collects what arrives at one end, with the time of arrival.
type receiver struct {
	got  string
	at   time.Duration // of the last bytes
	err  error
	done chan struct{}
}

func receive(c io.Reader) *receiver {
	r, begin := &receiver{done: make(chan struct{})}, time.Now()
	go func() {
		defer close(r.done)
		p := make([]byte, 100)
		for r.err == nil {
			var n int
			if n, r.err = c.Read(p); n > 0 {
				r.got, r.at = r.got+string(p[:n]), time.Since(begin)
			}
		}
	}()
	return r
}

// As measured on real NATs: a timeout of 6 s and 12 s of silence, then one side speaks, and 10 s later the client does.
func TestForgottenFlow(t *testing.T) {
	for _, tt := range []struct {
		behaviour              transporttest.Behaviour
		ping                   string // what the server has of the client's "ping" after the silence
		pushSoon, pushAfterOut string // what the client has of the server's "push", at once and after its own next packet
		clientEnd              error
	}{
		{transporttest.LooseRST, "ping", "", "", syscall.ECONNRESET},
		{transporttest.LooseSilent, "ping", "", "push", nil},
		{transporttest.Strict, "", "", "", nil},
		{transporttest.SYNOnly, "", "", "", syscall.ECONNRESET},
	} {
		t.Run(tt.behaviour.String()+"/client speaks first", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := forget(t, tt.behaviour)
				up := receive(server)
				client.Write([]byte("ping"))
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if up.got != tt.ping {
					t.Errorf("server has %q, want %q", up.got, tt.ping)
				}
			})
		})
		t.Run(tt.behaviour.String()+"/server speaks first", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				client, server := forget(t, tt.behaviour)
				down := receive(client)
				server.Write([]byte("push"))
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if down.got != tt.pushSoon {
					t.Errorf("client has %q, want %q", down.got, tt.pushSoon)
				}
				client.Write([]byte("ping"))
				time.Sleep(10 * time.Second)
				synctest.Wait()
				if down.got != tt.pushAfterOut || !errors.Is(down.err, tt.clientEnd) {
					t.Errorf("client has %q, %v after it spoke, want %q, %v", down.got, down.err, tt.pushAfterOut, tt.clientEnd)
				}
			})
		})
	}
}

// forget returns a connection whose mapping has just been lost by silence.
func forget(t *testing.T, b transporttest.Behaviour) (client, server *transporttest.Conn) {
	n := transporttest.NewNetwork()
	t.Cleanup(n.Close)
	client, server = dial(t, n, transporttest.NewNAT(n, transporttest.NATOptions{Idle: idle, Behaviour: b}))
	time.Sleep(2 * idle)
	return client, server
}

func TestWhatKeepsAMapping(t *testing.T) {
	for _, tt := range []struct {
		name           string
		refreshInbound bool
		speaks         func(client, server io.Writer)
		every          time.Duration
		want           bool
	}{
		{"outbound in time", false, func(c, _ io.Writer) { c.Write([]byte(".")) }, idle - time.Millisecond, true},
		{"outbound at the limit is too late", false, func(c, _ io.Writer) { c.Write([]byte(".")) }, idle, false},
		{"inbound does not count", false, func(_, s io.Writer) { s.Write([]byte(".")) }, idle / 2, false},
		{"inbound counts where it is so set", true, func(_, s io.Writer) { s.Write([]byte(".")) }, idle / 2, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := transporttest.NewNetwork()
				t.Cleanup(n.Close)
				client, server := dial(t, n, transporttest.NewNAT(n, transporttest.NATOptions{
					Idle: idle, Behaviour: transporttest.Strict, RefreshInbound: tt.refreshInbound}))
				for range 5 {
					time.Sleep(tt.every)
					tt.speaks(client, server)
				}
				down := receive(client)
				server.Write([]byte("!"))
				synctest.Wait()
				if got := slices.Contains([]byte(down.got), '!'); got != tt.want {
					t.Errorf("mapped: %v, want %v", got, tt.want)
				}
			})
		})
	}
}

func TestFlushForgetsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		t.Cleanup(n.Close)
		nat := transporttest.NewNAT(n, transporttest.NATOptions{Behaviour: transporttest.LooseSilent})
		client, server := dial(t, n, nat)
		nat.Flush()
		down := receive(client)
		server.Write([]byte("push"))
		time.Sleep(time.Minute)
		client.Write([]byte("ping"))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if down.got != "push" || down.at < time.Minute {
			t.Errorf("client has %q after %v", down.got, down.at)
		}
	})
}

func TestCutDelaysAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		t.Cleanup(n.Close)
		nat := transporttest.NewNAT(n, transporttest.NATOptions{Latency: 50 * time.Millisecond})
		client, server := dial(t, n, nat)
		up := receive(server)
		nat.Cut(4 * time.Second)
		client.Write([]byte("one "))
		time.Sleep(time.Second)
		client.Write([]byte("two"))
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if up.got != "one two" || up.at < 4*time.Second || up.at > 5*time.Second+100*time.Millisecond {
			t.Errorf("server has %q after %v", up.got, up.at)
		}
		if c := nat.Counters(); c.UpBytes != 7 || c.Dropped < 3 || c.Dials != 1 {
			t.Errorf("counters %+v", c)
		}
	})
}

func TestDialDuringACut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		defer n.Close()
		if _, err := n.Listen("broker:1883"); err != nil {
			t.Fatal(err)
		}
		nat := transporttest.NewNAT(n, transporttest.NATOptions{})
		nat.Cut(time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if _, err := nat.Dial(ctx, "tcp", "broker:1883"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("with a deadline: %v", err)
		}
		if _, err := nat.Dial(t.Context(), "tcp", "broker:1883"); !errors.Is(err, syscall.ETIMEDOUT) {
			t.Errorf("without: %v", err)
		}
		nat.Cut(0)
		if _, err := nat.Dial(t.Context(), "tcp", "broker:1883"); err != nil {
			t.Errorf("after the cut: %v", err)
		}
	})
}

// A client's write does not return once nothing drains: what a stuck path does to a full send buffer.
func TestCutFillsTheSendBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		defer n.Close()
		nat := transporttest.NewNAT(n, transporttest.NATOptions{})
		client, _ := dial(t, n, nat)
		nat.Cut(time.Hour)
		client.SetWriteDeadline(time.Now().Add(time.Minute))
		if sent, err := client.Write(make([]byte, 1<<20)); sent > 100<<10 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v", sent, err)
		}
	})
}

// A FIN that cannot pass is dropped in the end, as a kernel drops an orphan; the server never hears of it.
func TestFINThroughAStrictNATIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := forget(t, transporttest.Strict)
		up := receive(server)
		client.Close()
		time.Sleep(time.Hour)
		synctest.Wait()
		if up.err != nil {
			t.Errorf("server heard %v", up.err)
		}
	})
}
