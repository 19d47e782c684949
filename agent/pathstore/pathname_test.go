package pathstore

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/exec"
)

const routes4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	0000A8C0	00000000	0001	0	0	100	00FFFFFF	0	0	0
eth0	00000000	0100A8C0	0003	0	0	100	00000000	0	0	0
wwan0	00000000	2D01400A	0003	0	0	700	00000000	0	0	0
ppp0	00000000	00000000	0001	0	0	800	00000000	0	0	0
bad0	00000000	XYZ	0003
`

const routes6 = `fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe80000000000000021122fffe334455 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`

func TestGateways(t *testing.T) {
	for iface, want := range map[string]string{"eth0": "192.168.0.1", "wwan0": "10.64.1.45", "ppp0": "", "bad0": "", "none": ""} {
		if got := gateway4([]byte(routes4), iface); got != want {
			t.Errorf("%s: %q, want %q", iface, got, want)
		}
	}
	for iface, want := range map[string]string{"eth0": "fe80::211:22ff:fe33:4455", "lo": "", "none": ""} {
		if got := gateway6([]byte(routes6), iface); got != want {
			t.Errorf("%s: %q, want %q", iface, got, want)
		}
	}
}

func FuzzGateways(f *testing.F) {
	f.Add([]byte(routes4), "eth0")
	f.Add([]byte(routes6), "eth0")
	f.Fuzz(func(_ *testing.T, table []byte, iface string) { gateway4(table, iface); gateway6(table, iface) })
}

func TestPathOfLoopback(t *testing.T) {
	p := &Namer{}
	got := p.Name("mqtts://a:8883", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1})
	if !strings.HasPrefix(got, "lo") || !strings.HasSuffix(got, " mqtts://a:8883") {
		t.Errorf("%q", got)
	}
	if got := p.Name("mqtts://a:8883", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 77)}); got != "mqtts://a:8883" {
		t.Errorf("address of nobody: %q", got)
	}
}

func TestAFailingHintIsSaidOnce(t *testing.T) {
	var log bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_ = NewHint([]string{"no-such-command-here"}, time.Minute, zerolog.New(&log)).Run(ctx)
	})
	if n := strings.Count(log.String(), "path_hint failed"); n != 1 {
		t.Errorf("said %d times: %s", n, log.String())
	}
}

// TestAHintIsAskedAgainSoonUntilThereIsOne waits for a modem that comes late, and lets nobody wait for it for long.
func TestAHintIsAskedAgainSoonUntilThereIsOne(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sim")
	synctest.Test(t, func(t *testing.T) {
		h := NewHint([]string{"cat", file}, time.Hour, zerolog.Nop())
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = h.Run(ctx) }()
		start := time.Now()
		h.Await(ctx)
		if waited := time.Since(start); waited > hintFirst {
			t.Errorf("waited %v", waited)
		}
		if err := os.WriteFile(file, []byte("8944\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * exec.QueryRetry)
		if got := h.Get(); got != "8944" {
			t.Errorf("%q", got)
		}
		cancel()
		<-done
	})
}

func TestNobodyWaitsLongForAHint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		NewHint([]string{"nobody", "runs", "it"}, 0, zerolog.Nop()).Await(t.Context())
		if waited := time.Since(start); waited != hintFirst {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestNobodyWaitsForAHintThatIsNotWanted(t *testing.T) {
	NewHint(nil, 0, zerolog.Nop()).Await(t.Context())
}
