package agent

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	hintTimeout = 10 * time.Second
	hintMax     = 256 // bytes of the output that become part of a path's name
	hintEvery   = 5 * time.Minute
	hintRetry   = 15 * time.Second // until there is a first answer: a modem takes its time after power-on
	hintFirst   = 2 * time.Second  // how long the first connection waits for the first answer
	routesMax   = 1 << 20          // bytes of a route table that are looked at
)

// paths names the path of a connection: what is learnt on one says little about another. "wwan0 via 10.0.0.1 hint 8944… mqtts://a:8883"
type paths struct {
	hint *pathHint // nil: none
}

// name is called at each connect.
func (p *paths) name(server string, local net.Addr) string {
	parts := []string{}
	if tcp, ok := local.(*net.TCPAddr); ok {
		if iface := interfaceOf(tcp.IP); iface != "" {
			parts = append(parts, iface)
			if gw := gatewayOf(iface, tcp.IP.To4() == nil); gw != "" {
				parts = append(parts, "via", gw)
			}
		}
	}
	if p.hint != nil {
		if hint := p.hint.get(); hint != "" {
			parts = append(parts, "hint", hint)
		}
	}
	return strings.Join(append(parts, server), " ")
}

// interfaceOf is the interface that has ip; "": none has.
func interfaceOf(ip net.IP) string {
	all, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		if slices.ContainsFunc(addrs, func(a net.Addr) bool { n, ok := a.(*net.IPNet); return ok && n.IP.Equal(ip) }) {
			return i.Name
		}
	}
	return ""
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

// pathHint runs a command of the local configuration now and then; what it prints (which SIM) becomes part of the path's name.
type pathHint struct {
	command []string
	every   time.Duration
	log     zerolog.Logger
	first   chan struct{} // closed after the first attempt

	mu   sync.Mutex
	last string
}

func newPathHint(command []string, every time.Duration, log zerolog.Logger) *pathHint {
	if len(command) == 0 {
		return nil
	}
	if every <= 0 {
		every = hintEvery
	}
	return &pathHint{command: command, every: every, log: log, first: make(chan struct{})}
}

// await gives the first answer a moment, so that the first connection has its name already.
func (h *pathHint) await(ctx context.Context) {
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

func (h *pathHint) get() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last
}

// run asks at once and then now and then; a failure is said when it begins, and the last answer stays. An answer counts from the
// next connection on.
func (h *pathHint) run(ctx context.Context) error {
	if h == nil {
		<-ctx.Done()
		return nil
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	failing, asked := false, false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		out, err := h.ask(ctx)
		if err == nil {
			h.mu.Lock()
			h.last = out
			h.mu.Unlock()
		} else if !failing && ctx.Err() == nil {
			h.log.Warn().Err(err).Strs("command", h.command).Msg("path_hint failed, the path keeps the name that it has")
		}
		if failing = err != nil; !asked {
			asked = true
			close(h.first)
		}
		timer.Reset(h.pause())
	}
}

// pause is how long to wait with the next question.
func (h *pathHint) pause() time.Duration {
	if h.get() == "" {
		return min(hintRetry, h.every)
	}
	return h.every
}

// ask runs the command without a shell, without our environment, and for a bounded time.
func (h *pathHint) ask(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, hintTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.command[0], h.command[1:]...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.WaitDelay = time.Second
	out := &bounded{}
	cmd.Stdout = out
	if err := cmd.Run(); err != nil {
		return "", err
	}
	return printable(out.b), nil
}

// bounded keeps the beginning of what is written.
type bounded struct{ b []byte }

func (w *bounded) Write(p []byte) (int, error) {
	w.b = append(w.b, p[:min(len(p), hintMax-len(w.b))]...)
	return len(p), nil
}

// printable is one line of printable ASCII.
func printable(p []byte) string {
	return strings.Join(strings.FieldsFunc(string(p), func(r rune) bool { return r <= ' ' || r > '~' }), " ")
}
