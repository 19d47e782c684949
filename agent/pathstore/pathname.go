package pathstore

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/exec"
	"github.com/linkbeat/linkbeat/transport"
)

const (
	hintMax   = 256             // bytes of the output that become part of a path's name
	hintFirst = 2 * time.Second // how long the first connection waits for the first answer
	routesMax = 1 << 20         // bytes of a route table that are looked at
)

// Namer names the path of a connection: what is learnt on one says little about another.
// "wwan0 via 10.0.0.1 hint 8944… mqtts://a:8883"
type Namer struct {
	Hint *Hint // nil: none
}

// Name is called at each connect.
func (p *Namer) Name(server string, local net.Addr) string {
	parts := []string{}
	if tcp, ok := local.(*net.TCPAddr); ok {
		if iface := transport.InterfaceOf(tcp.IP); iface != "" {
			parts = append(parts, iface)
			if gw := gatewayOf(iface, tcp.IP.To4() == nil); gw != "" {
				parts = append(parts, "via", gw)
			}
		}
	}
	if p.Hint != nil {
		if hint := p.Hint.Get(); hint != "" {
			parts = append(parts, "hint", hint)
		}
	}
	return strings.Join(append(parts, server), " ")
}

func gatewayOf(iface string, v6 bool) string {
	if v6 {
		return gateway6(routeTable("/proc/net/ipv6_route"), iface)
	}
	return gateway4(routeTable("/proc/net/route"), iface)
}

// routeTable is a table of the kernel; empty when there is none: then no gateway is known.
func routeTable(name string) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	table, _ := io.ReadAll(io.LimitReader(f, routesMax)) // what was read before an error serves
	return table
}

// gateway4 finds the default gateway of iface in /proc/net/route: name, destination and gateway as hexadecimal words in the
// machine's byte order.
func gateway4(table []byte, iface string) string {
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		if len(f) < 3 || f[0] != iface || f[1] != "00000000" {
			continue
		}
		b, err := hex.DecodeString(f[2])
		if err != nil || len(b) != 4 || f[2] == "00000000" {
			continue
		}
		slices.Reverse(b) // little endian, as on every machine we build for
		ip, _ := netip.AddrFromSlice(b)
		return ip.String()
	}
	return ""
}

// gateway6 finds it in /proc/net/ipv6_route: destination, its length, source, its length, next hop, …, name.
func gateway6(table []byte, iface string) string {
	for line := range bytes.Lines(table) {
		f := strings.Fields(string(line))
		if len(f) < 10 || f[9] != iface || strings.Trim(f[0], "0") != "" || f[1] != "00" {
			continue
		}
		b, err := hex.DecodeString(f[4])
		if err != nil || len(b) != 16 || strings.Trim(f[4], "0") == "" {
			continue
		}
		ip, _ := netip.AddrFromSlice(b)
		return ip.String()
	}
	return ""
}

// Hint is a query whose answer (which SIM) becomes part of the path's name.
type Hint struct {
	*exec.Query
	first chan struct{} // closed after the first attempt
}

// NewHint returns the hint that argv gives, asked each every; nil without a command.
func NewHint(argv []string, every time.Duration, log zerolog.Logger) *Hint {
	if len(argv) == 0 {
		return nil
	}
	return &Hint{Query: exec.NewQuery("path_hint", exec.Program{Argv: argv, Most: hintMax}, every, log),
		first: make(chan struct{})}
}

// Await gives the first answer a moment, so that the first connection has its name already.
func (h *Hint) Await(ctx context.Context) {
	if h == nil {
		return
	}
	timer := time.NewTimer(hintFirst)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-h.first:
	}
}

// Run asks at once and then now and then. After a failure the last answer stays, and an answer counts
// from the next connection on.
func (h *Hint) Run(ctx context.Context) error {
	if h == nil {
		<-ctx.Done()
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for asked := false; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		h.Ask(ctx, true)
		if !asked {
			asked = true
			close(h.first)
		}
		timer.Reset(time.Until(h.Due))
	}
}
