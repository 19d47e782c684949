package netlab

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// A NATLab is three namespaces:
//
//	┌─ device ─────────┐        ┌─ nat ─────────────────────────────┐        ┌─ server ─────────┐
//	│ the agent        │        │ conntrack, masquerade             │        │ mosquitto        │
//	│ 10.72.1.2  out0 ─┼─ veth ─┼─ in0 10.72.1.1   10.72.2.1  out0 ─┼─ veth ─┼─ in0  10.72.2.2  │
//	└──────────────────┘        └───────────────────────────────────┘        └──────────────────┘
//
// The NAT is the kernel's own: nf_conntrack_tcp_timeout_established is the limit, tcp_loose and a few rules of nftables are its
// behaviour. Cuts and losses drop on the way in, so that nobody's TCP is told.
type NATLab struct {
	Device, NAT, Server string // namespaces
}

// Addresses of a NATLab.
const (
	natInside    = "10.72.1.1"
	natOutside   = "10.72.2.1"
	natDevice    = "10.72.1.2"
	NATServerIP  = "10.72.2.2" // where the broker listens
	natCutTable  = "cut"
	natRuleTable = "nat"
)

// Behaviour is what the NAT does with packets of a flow that it forgot.
type Behaviour int

// The behaviours that were seen in the field.
const (
	// the client's makes a new mapping (tcp_loose=1, the kernel's default), the server's is answered with RST
	LooseRST    Behaviour = iota
	LooseSilent           // the client's makes a new mapping, the server's is dropped
	Strict                // both are dropped (tcp_loose=0)
	SYNOnly               // new flows only on SYN, all else is dropped
	ClientRST             // as SYNOnly, and the client's packet is answered with RST
)

// Behaviours are all of them.
func Behaviours() []Behaviour { return []Behaviour{LooseRST, LooseSilent, Strict, SYNOnly, ClientRST} }

// Loose reports whether the client's own packet revives a flow.
func (b Behaviour) Loose() bool { return b == LooseRST || b == LooseSilent }

// String returns a name for tables.
func (b Behaviour) String() string {
	return [...]string{"loose, RST to the server", "loose, silent", "strict", "new flows only on SYN", "RST to the client"}[b]
}

// NATTools that a NATLab needs, for kit.Missing and kit.Need.
func NATTools() []string { return []string{"root", "ip", "nft", "conntrack"} }

// NewNAT builds a NATLab; the Env removes it.
func NewNAT(e *kit.Env, b Behaviour, limit time.Duration) (*NATLab, error) {
	if err := kit.Missing(NATTools()...); err != nil {
		return nil, err
	}
	sweep()
	base := fmt.Sprintf("lb%d-%d", os.Getpid(), counter.Add(1))
	l := &NATLab{Device: base + "d", NAT: base + "n", Server: base + "s"}
	if err := namespaces(e, l.Device, l.NAT, l.Server); err != nil {
		return nil, err
	}
	if err := l.wire(); err != nil {
		return nil, err
	}
	if err := l.nft(l.NAT, l.rules(b)); err != nil {
		return nil, err
	}
	if err := l.sysctl("net/netfilter/nf_conntrack_tcp_loose", boolean(b.Loose())); err != nil {
		return nil, err
	}
	return l, l.SetLimit(limit)
}

func boolean(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func (l *NATLab) wire() error {
	steps := [][]string{
		{"-n", l.Device, "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", l.NAT},
		{"-n", l.NAT, "link", "add", "out0", "type", "veth", "peer", "name", "in0", "netns", l.Server},
		{"-n", l.Device, "addr", "add", natDevice + "/24", "dev", "out0"},
		{"-n", l.NAT, "addr", "add", natInside + "/24", "dev", "in0"},
		{"-n", l.NAT, "addr", "add", natOutside + "/24", "dev", "out0"},
		{"-n", l.Server, "addr", "add", NATServerIP + "/24", "dev", "in0"},
		{"-n", l.Device, "link", "set", "out0", "up"}, {"-n", l.NAT, "link", "set", "in0", "up"},
		{"-n", l.NAT, "link", "set", "out0", "up"}, {"-n", l.Server, "link", "set", "in0", "up"},
		{"-n", l.Device, "link", "set", "lo", "up"}, {"-n", l.NAT, "link", "set", "lo", "up"},
		{"-n", l.Server, "link", "set", "lo", "up"}, {"-n", l.Device, "route", "add", "default", "via", natInside},
	}
	for _, s := range steps {
		if err := run("ip", s...); err != nil {
			return err
		}
	}
	return l.sysctl("net/ipv4/ip_forward", "1")
}

// rules are the NAT and its behaviour. Masquerading stands in all of them; a packet that the connection tracker does not know
// either begins a flow (loose), or meets the rules below.
func (l *NATLab) rules(b Behaviour) string {
	forward, input := "ct state invalid drop", "iifname out0 ct state new,invalid drop"
	switch b {
	case LooseRST:
		input = "" // the NAT's own TCP answers what it does not know
	case SYNOnly:
		forward += "; ct state new tcp flags & (fin|syn|rst|ack) != syn drop"
	case ClientRST:
		forward = "iifname in0 ct state new,invalid tcp flags & (fin|syn|rst|ack) != syn reject with tcp reset; " + forward
	}
	return fmt.Sprintf(`table ip %s {
		chain post { type nat hook postrouting priority 100; oifname out0 masquerade; }
		chain through { type filter hook forward priority 0; %s; }
		chain inward { type filter hook input priority 0; %s; }
	}
	table ip %s { chain pre { type filter hook prerouting priority -300; }
	}`, natRuleTable, forward, orNothing(input), natCutTable)
}

func orNothing(rule string) string {
	if rule == "" {
		return "accept"
	}
	return rule
}

// SetLimit changes how long the NAT remembers an idle flow. A flow that exists follows from its next packet on.
func (l *NATLab) SetLimit(d time.Duration) error {
	return l.sysctl("net/netfilter/nf_conntrack_tcp_timeout_established", strconv.Itoa(int(d/time.Second)))
}

// Flush forgets every flow, as a reboot of the NAT does.
func (l *NATLab) Flush() error { return run("ip", "netns", "exec", l.NAT, "conntrack", "-F") }

// Cut silences the path, both ways.
func (l *NATLab) Cut() error { return l.nft(l.NAT, "add rule ip "+natCutTable+" pre drop") }

// Lose drops that many packets in a hundred, both ways.
func (l *NATLab) Lose(percent int) error {
	return l.nft(l.NAT, fmt.Sprintf("add rule ip %s pre numgen random mod 100 < %d drop", natCutTable, percent))
}

// Heal ends cuts and losses.
func (l *NATLab) Heal() error { return l.nft(l.NAT, "flush chain ip "+natCutTable+" pre") }

func (l *NATLab) nft(ns, script string) error { return run("ip", "netns", "exec", ns, "nft", script) }

func (l *NATLab) sysctl(key, value string) error { return sysctl(l.NAT, key, value) }
