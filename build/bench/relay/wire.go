package relay

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

const (
	wireAim      = 50.0 // bytes a line, in batches of 20, gzipped
	wireBaud     = 9600 // the pace of a real receiver: acknowledgements are not shared between lines by haste
	ethernet     = 14   // bytes of header that the veth counts and a carrier does not
	wireFile     = "neo-m8n"
	batchedLines = 20
)

// wire counts IP bytes, both ways, on the device's interface while a recording of NMEA is relayed. It needs a lab.
func wire(e *kit.Env, t *kit.Table) error {
	if err := kit.Missing(netlab.Tools()...); err != nil {
		t.Say("wire bytes were not measured: %v", err)
		return nil
	}
	type variant struct {
		scheme string
		batch  bool
	}
	variants := []variant{{"mqtt", false}, {"mqtt", true}, {"mqtts", false}, {"mqtts", true}}
	per := make([]float64, len(variants))
	errs := make([]error, len(variants))
	var wg sync.WaitGroup
	for i, v := range variants {
		wg.Go(func() { per[i], errs[i] = wireBytes(e, fmt.Sprint("gw-wire", i), v.scheme, v.batch) })
	}
	wg.Wait()
	for i, v := range variants {
		switch {
		case errs[i] != nil:
			return errs[i]
		case v.batch:
			t.AtMost(fmt.Sprintf("wire, %s, NMEA in batches of %d, gzip", v.scheme, batchedLines), per[i], wireAim,
				"IP bytes/line")
		default:
			t.Info(fmt.Sprintf("wire, %s, NMEA line by line", v.scheme), per[i], "IP bytes/line")
		}
	}
	return nil
}

func wireBytes(e *kit.Env, id, scheme string, batch bool) (float64, error) {
	l, err := netlab.New(e, 1)
	if err != nil {
		return 0, err
	}
	certs, err := e.Certs(l.ServerIPs[0])
	if err != nil {
		return 0, err
	}
	b, err := e.Broker(kit.BrokerOptions{Netns: l.Server, Addr: l.ServerIPs[0], Certs: certs})
	if err != nil {
		return 0, err
	}
	tty, err := e.Pty(id)
	if err != nil {
		return 0, err
	}
	doc := kit.NewDoc(id, b.SchemeURL(scheme)).Line(device, tty.Port).Set("heartbeat.interval", "60s")
	if scheme == "mqtts" {
		doc.Set("uplink.tls", map[string]any{"ca_file": certs.CA, "cert_file": certs.ClientCert, "key_file": certs.ClientKey})
	}
	if batch {
		doc.Set("serial."+device+".batch", map[string]any{"frames": batchedLines, "delay": "10s", "bytes": "32KiB"})
		doc.Set("serial."+device+".compress", "gzip")
	}
	a, err := e.Agent(kit.AgentOptions{Doc: doc, Netns: l.Device})
	if err != nil {
		return 0, err
	}
	if err := a.StartUp(); err != nil {
		return 0, err
	}
	e.Sleep(2 * time.Second) // birth, info and subscriptions are not lines
	return countWire(e, l, a, tty)
}

func countWire(e *kit.Env, l *netlab.Lab, a *kit.Agent, tty *kit.Pty) (float64, error) {
	root, err := kit.Root()
	if err != nil {
		return 0, err
	}
	recording, err := os.ReadFile(filepath.Join(root, "build/testdata", wireFile+".log"))
	if err != nil {
		return 0, fmt.Errorf("recording: %w", err)
	}
	before, err := ipBytes(a)
	if err != nil {
		return 0, err
	}
	if err := kit.PlayRecording(e.Ctx, tty, recording, wireBaud); err != nil {
		return 0, err
	}
	lines := int64(len(kit.Lines(recording)))
	err = e.Until("all lines to be acknowledged", 30*time.Second, func() bool {
		s, err := a.Status()
		return err == nil && s.Serial[device].Framed >= lines && s.Spool.Waiting == 0
	})
	if err != nil {
		return 0, err
	}
	after, err := ipBytes(a)
	if err != nil {
		return 0, err
	}
	return float64(after-before) / float64(lines), nil
}

// ipBytes sums both directions of path0 in the agent's namespace, without Ethernet headers.
func ipBytes(a *kit.Agent) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/dev", a.Proc().Pid()))
	if err != nil {
		return 0, fmt.Errorf("interface counters: %w", err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ":")
		f := strings.Fields(rest)
		if !ok || name != "path0" || len(f) < 10 {
			continue
		}
		var n [4]int64 // rx bytes, rx packets, tx bytes, tx packets
		for i, field := range []int{0, 1, 8, 9} {
			if n[i], err = strconv.ParseInt(f[field], 10, 64); err != nil {
				return 0, fmt.Errorf("interface counters: %w", err)
			}
		}
		return n[0] + n[2] - ethernet*(n[1]+n[3]), nil
	}
	return 0, fmt.Errorf("no path0 in /proc/%d/net/dev", a.Proc().Pid())
}
