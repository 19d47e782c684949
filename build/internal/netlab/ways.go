package netlab

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Ways is a gateway with two ways out, and several servers behind both:
//
//	┌─ device ─────────┐        ┌─ router ─────────────────────────────┐        ┌─ server ───────────────┐
//	│ 10.73.1.2  wan0 ─┼─ veth ─┼─ in0 10.73.1.1                       │        │ brokers, load balancer,│
//	│ the agent        │        │       masquerade  10.73.9.254  out0 ─┼─ veth ─┼─ in0  10.73.9.1, .2 …  │
//	│ 10.73.2.2  wan1 ─┼─ veth ─┼─ in1 10.73.2.1                       │        │ lo    10.73.10.1       │
//	└──────────────────┘        └──────────────────────────────────────┘        └────────────────────────┘
//
// The device has a default route over each way, wan0's preferred; Prefer moves that. The router takes only what comes from the
// address that belongs to the way it came over, as a carrier does: a connection does not follow a route to the other way.
// 10.73.10.1 cannot be reached from the device but through a proxy. With a delay, the last cable is not a veth but a pair of TUN
// devices whose packets we carry across ourselves, late (this kernel may have no netem).
type Ways struct {
	Device, Router, Server string   // namespaces
	ServerIPs              []string // addresses of the server namespace that the device reaches
	Hidden                 string   // one that it does not
}

// WaysOptions of NewWays.
type WaysOptions struct {
	Servers int           // how many addresses
	Delay   time.Duration // each way between router and server; if zero, none
}

// The two ways out, as Cable, Prefer and Capture number them.
const (
	Wan0 = 0
	Wan1 = 1
)

const (
	waysRouter = "10.73.9.254"
	waysHidden = "10.73.10.1"
)

// WaysTools that a Ways needs, for kit.Missing and kit.Need.
func WaysTools() []string { return []string{"root", "ip", "nft", "tcpdump"} }

// NewWays builds a Ways; the Env removes it.
func NewWays(e *kit.Env, o WaysOptions) (*Ways, error) {
	if err := kit.Missing(WaysTools()...); err != nil {
		return nil, err
	}
	sweep()
	base := fmt.Sprintf("lb%d-%d", os.Getpid(), counter.Add(1))
	w := &Ways{Device: base + "d", Router: base + "n", Server: base + "s", Hidden: waysHidden}
	if err := namespaces(e, w.Device, w.Router, w.Server); err != nil {
		return nil, err
	}
	for i := range o.Servers {
		w.ServerIPs = append(w.ServerIPs, "10.73.9."+strconv.Itoa(i+1))
	}
	if err := w.lastCable(e, o.Delay); err != nil {
		return nil, err
	}
	if err := w.wire(); err != nil {
		return nil, err
	}
	return w, w.nft(`table ip nat {
		chain post { type nat hook postrouting priority 100; oifname out0 masquerade; }
		chain through { type filter hook forward priority 0; ct state invalid drop;
			iifname in0 ip saddr != 10.73.1.0/24 drop; iifname in1 ip saddr != 10.73.2.0/24 drop; }
	}
	table ip cut {
		set silent { type ipv4_addr; }
		chain pre { type filter hook prerouting priority -300; ip saddr @silent drop; ip daddr @silent drop; }
		chain loss { type filter hook prerouting priority -299; }
	}`)
}

// lastCable joins router and server: a veth pair, or a pair of TUN devices with a delay between them.
func (w *Ways) lastCable(e *kit.Env, delay time.Duration) error {
	if delay > 0 {
		return slowCable(e, end{w.Router, "out0"}, end{w.Server, "in0"}, delay)
	}
	return run("ip", "-n", w.Router, "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", w.Server)
}

func (w *Ways) wire() error {
	steps := [][]string{{"-n", w.Router, "addr", "add", waysRouter + "/24", "dev", "out0"},
		{"-n", w.Router, "link", "set", "out0", "up"}, {"-n", w.Server, "link", "set", "in0", "up"}}
	for _, ip := range w.ServerIPs {
		steps = append(steps, []string{"-n", w.Server, "addr", "add", ip + "/24", "dev", "in0"})
	}
	for _, ns := range []string{w.Device, w.Router, w.Server} {
		steps = append(steps, []string{"-n", ns, "link", "set", "lo", "up"})
	}
	steps = append(steps, []string{"-n", w.Server, "addr", "add", waysHidden + "/32", "dev", "lo"})
	for _, way := range []int{Wan0, Wan1} {
		wan, in := wan(way), inside(way)
		steps = append(steps, [][]string{
			{"-n", w.Device, "link", "add", wan, "type", "veth", "peer", "name", in, "netns", w.Router},
			{"-n", w.Device, "addr", "add", fmt.Sprintf("10.73.%d.2/24", way+1), "dev", wan},
			{"-n", w.Router, "addr", "add", gateway(way) + "/24", "dev", in},
			// no packet is longer than the cable's: what tcpdump sees is what TCP counts
			{"-n", w.Device, "link", "set", wan, "up", "gso_max_segs", "1"},
			{"-n", w.Router, "link", "set", in, "up", "gso_max_segs", "1"},
			{"-n", w.Device, "route", "add", "default", "via", gateway(way), "dev", wan, "metric", strconv.Itoa(100 * (way + 1))},
		}...)
	}
	for _, s := range steps {
		if err := run("ip", s...); err != nil {
			return err
		}
	}
	if err := w.Prefer(Wan0); err != nil {
		return err
	}
	return sysctl(w.Router, "net/ipv4/ip_forward", "1")
}

func wan(way int) string     { return "wan" + strconv.Itoa(way) }
func inside(way int) string  { return "in" + strconv.Itoa(way) }
func gateway(way int) string { return fmt.Sprintf("10.73.%d.1", way+1) }

// Prefer makes the best default route go over that way.
func (w *Ways) Prefer(way int) error {
	return run("ip", "-n", w.Device, "route", "replace", "default", "via", gateway(way), "dev", wan(way), "metric", "50")
}

// Cable pulls a way's cable out at its far end, or puts it in again: the device sees the carrier go and come, its address stays.
func (w *Ways) Cable(way int, in bool) error {
	state := "down"
	if in {
		state = "up"
	}
	return run("ip", "-n", w.Router, "link", "set", inside(way), state)
}

// Readdress takes a way's address away from the device and gives it another one, as a carrier does after a reconnect.
func (w *Ways) Readdress(way int) error {
	if err := run("ip", "-n", w.Device, "addr", "flush", "dev", wan(way)); err != nil {
		return err
	}
	if err := run("ip", "-n", w.Device, "addr", "add", fmt.Sprintf("10.73.%d.3/24", way+1), "dev", wan(way)); err != nil {
		return err
	}
	metric := strconv.Itoa(100 * (way + 1))
	if err := run("ip", "-n", w.Device, "route", "add", "default", "via", gateway(way), "dev", wan(way), "metric",
		metric); err != nil {
		return err
	}
	return w.Prefer(way)
}

// BlackHole makes the path to one server address silent, both ways, without a word to either side.
func (w *Ways) BlackHole(ip string) error { return w.nft("add element ip cut silent { " + ip + " }") }

// Heal ends a BlackHole.
func (w *Ways) Heal(ip string) error { return w.nft("delete element ip cut silent { " + ip + " }") }

// Lose drops that many packets in a hundred, both ways.
func (w *Ways) Lose(percent int) error {
	return w.nft(fmt.Sprintf("add rule ip cut loss numgen random mod 100 < %d drop", percent))
}

// SmallBuffers caps the device's TCP buffers, so that a full send buffer takes little to reach.
func (w *Ways) SmallBuffers() error {
	if err := sysctl(w.Device, "net/ipv4/tcp_wmem", "4096 16384 32768"); err != nil {
		return err
	}
	return sysctl(w.Server, "net/ipv4/tcp_rmem", "4096 16384 32768")
}

// Capture runs tcpdump on the router's end of a way, until stop is called; the file then has all packets of IPv4.
func (w *Ways) Capture(e *kit.Env, way int) (file string, stop func() error, err error) {
	dir, err := e.Sub("capture")
	if err != nil {
		return "", nil, err
	}
	file = filepath.Join(dir, inside(way)+".pcap")
	p, err := e.StartProc(filepath.Base(dir), w.Router, nil, "tcpdump", "-i", inside(way), "-n", "-s", "0", "-U", "-Z", "root",
		"-w", file, "ip")
	if err != nil {
		return "", nil, err
	}
	stop = func() error {
		if err := e.Until("tcpdump to write what it has", 10*time.Second, func() bool { return written(p) }); err != nil {
			return err
		}
		_, err := p.Stop(10 * time.Second)
		return err
	}
	return file, stop, e.Until("tcpdump to listen", 10*time.Second,
		func() bool { return strings.Contains(p.Tail(5), "listening on") })
}

// written asks tcpdump, by SIGUSR1 as tcpdump(8) has it, whether it has written every packet that the kernel had for it: at a
// stop it throws away what is left, which on a busy machine may be all of it. The answer comes on its standard error, so it is
// that to an earlier call, or this one.
func written(p *kit.Proc) bool {
	if p.Signal(syscall.SIGUSR1) != nil {
		return true // it has ended: Stop says how
	}
	answer := regexp.MustCompile(`(\d+) packets? captured, (\d+) packets? received by filter`)
	all := answer.FindAllStringSubmatch(p.Tail(5), -1)
	if len(all) < 2 { // the first one may be older than the last packet
		return false
	}
	last := all[len(all)-1]
	return last[1] == last[2]
}

func (w *Ways) nft(script string) error {
	return run("ip", "netns", "exec", w.Router, "nft", script)
}
