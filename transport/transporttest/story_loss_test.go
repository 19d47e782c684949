package transporttest_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// Loss delays, as retransmission makes good for it, and is counted; the share of it is what was asked for.
func TestLossIsMadeGood(t *testing.T) {
	for _, tt := range []struct {
		name     string
		loss     float64
		low, top int64 // dropped of about 800 packets
	}{
		{"none", 0, 0, 0},
		{"5 %", 0.05, 20, 70},
		{"half", 0.5, 600, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := transporttest.NewNetwork()
				defer n.Close()
				l, err := n.Listen("broker:1883")
				if err != nil {
					t.Fatal(err)
				}
				nat := transporttest.NewNAT(n, transporttest.NATOptions{Loss: tt.loss, Rand: rand.New(rand.NewPCG(1, 2)).Float64})
				client, err := nat.Dial(t.Context(), "tcp", "broker:1883")
				if err != nil {
					t.Fatal(err)
				}
				server, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				up, down := receive(server), receive(client)
				for range 400 {
					client.Write([]byte("u"))
					server.Write([]byte("d"))
					time.Sleep(time.Minute)
				}
				synctest.Wait()
				if want := 400; up.got != strings.Repeat("u", want) || down.got != strings.Repeat("d", want) {
					t.Errorf("%d of %d bytes up, %d down", len(up.got), want, len(down.got))
				}
				if c := nat.Counters(); c.Dropped < tt.low || c.Dropped > tt.top || c.UpBytes != 400 || c.DownBytes != 400 {
					t.Errorf("%+v, want %d to %d dropped", c, tt.low, tt.top)
				}
			})
		})
	}
}

// SetLoss counts from the next packet on.
func TestLossCanBeginLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := transporttest.NewNetwork()
		defer n.Close()
		l, err := n.Listen("broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		nat := transporttest.NewNAT(n, transporttest.NATOptions{Rand: func() float64 { return 0 }})
		client, err := nat.Dial(t.Context(), "tcp", "broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		up := receive(server)
		for _, loss := range []float64{0, 1, 0} {
			nat.SetLoss(loss)
			client.Write([]byte("x"))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if c := nat.Counters(); up.got != "xxx" || c.Dropped == 0 {
			t.Errorf("server has %q, %d dropped", up.got, c.Dropped)
		}
	})
}
