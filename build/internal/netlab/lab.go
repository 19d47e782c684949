// Package netlab builds a small network of namespaces on one machine: a device and a server, joined by a veth pair, with
// real TCP between them, and a path that can go silent without a word to either side. It needs root, iproute2 and
// nftables.
package netlab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Tools that a lab needs, for kit.Missing and kit.Need.
func Tools() []string { return []string{"root", "ip", "nft"} }

// deviceIP is the device's address; the servers are 10.71.0.1, 10.71.0.2 … Every lab has its own, they never meet.
const deviceIP = "10.71.0.100"

// Lab is one device and one server namespace. Names carry our pid, so that what a killed run left behind is found and
// removed by the next one.
type Lab struct {
	Device, Server string   // namespaces
	ServerIPs      []string // addresses of the server namespace
}

var counter atomic.Int64

// New builds a lab with that many server addresses; the Env removes it.
func New(e *kit.Env, servers int) (*Lab, error) {
	if err := kit.Missing(Tools()...); err != nil {
		return nil, err
	}
	sweep()
	base := fmt.Sprintf("lb%d-%d", os.Getpid(), counter.Add(1))
	l := &Lab{Device: base + "d", Server: base + "s"}
	if err := namespaces(e, l.Device, l.Server); err != nil {
		return nil, err
	}
	if err := l.wire(servers); err != nil {
		return nil, err
	}
	for _, ns := range []string{l.Device, l.Server} {
		if err := l.filter(ns); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// namespaces makes them; the Env removes them, and with them their ends of the veth pairs.
func namespaces(e *kit.Env, names ...string) error {
	for _, ns := range names {
		if err := run("ip", "netns", "add", ns); err != nil {
			return err
		}
		e.Defer(func() { _ = run("ip", "netns", "del", ns) })
	}
	return nil
}

func (l *Lab) wire(servers int) error {
	steps := [][]string{
		{"-n", l.Device, "link", "add", "path0", "type", "veth", "peer", "name", "path0", "netns", l.Server},
		{"-n", l.Device, "addr", "add", deviceIP + "/24", "dev", "path0"},
	}
	for i := range servers {
		ip := "10.71.0." + strconv.Itoa(i+1)
		l.ServerIPs = append(l.ServerIPs, ip)
		steps = append(steps, []string{"-n", l.Server, "addr", "add", ip + "/24", "dev", "path0"})
	}
	for _, ns := range []string{l.Device, l.Server} {
		steps = append(steps, []string{"-n", ns, "link", "set", "lo", "up"}, []string{"-n", ns, "link", "set", "path0", "up"})
	}
	for _, s := range steps {
		if err := run("ip", s...); err != nil {
			return err
		}
	}
	return nil
}

// filter prepares an empty set of silent peers. It drops on the way in, on both sides: a drop on the way out would be
// told to the sender's TCP, and a real path tells nothing.
func (l *Lab) filter(ns string) error {
	return l.nft(ns, `table ip lab {
		set silent { type ipv4_addr; }
		chain in { type filter hook prerouting priority -300; ip saddr @silent drop; ip daddr @silent drop; }
	}`)
}

// Cut silences the path to one server address, both ways, without a word to either side.
func (l *Lab) Cut(ip string) error {
	return l.both("add element ip lab silent { " + ip + " }")
}

// Heal brings the path back.
func (l *Lab) Heal(ip string) error {
	return l.both("delete element ip lab silent { " + ip + " }")
}

// SmallBuffers caps the TCP buffers of both sides, so that a full send buffer takes little to reach.
func (l *Lab) SmallBuffers() error {
	for _, ns := range []string{l.Device, l.Server} {
		for _, key := range []string{"tcp_wmem", "tcp_rmem"} {
			if err := sysctl(ns, "net/ipv4/"+key, "4096 16384 32768"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *Lab) both(rule string) error {
	if err := l.nft(l.Server, rule); err != nil {
		return err
	}
	return l.nft(l.Device, rule)
}

func (l *Lab) nft(ns, script string) error { return run("ip", "netns", "exec", ns, "nft", script) }

// sysctl sets a value of a namespace: /proc/sys/net is that of whoever opens it.
func sysctl(ns, key, value string) error {
	err := kit.InNetns(ns, func() error { return os.WriteFile("/proc/sys/"+key, []byte(value), 0) })
	if err != nil {
		return fmt.Errorf("set %s in %s: %w", key, ns, err)
	}
	return nil
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// sweep removes labs whose maker is dead.
func sweep() {
	names, err := filepath.Glob("/var/run/netns/lb*-*")
	if err != nil {
		return
	}
	ours := regexp.MustCompile(`^lb(\d+)-\d+[dsn]$`)
	for _, path := range names {
		m := ours.FindStringSubmatch(filepath.Base(path))
		if m == nil {
			continue
		}
		if _, err := os.Stat("/proc/" + m[1]); os.IsNotExist(err) {
			_ = run("ip", "netns", "del", filepath.Base(path))
		}
	}
}
