package diag

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/diagnose"
)

// Machine is what is looked at here. A nil func looks at the real one.
type Machine struct {
	Interfaces func() ([]Interface, error)
	Source     func(to netip.Addr) (netip.Addr, error) // the address that packets to it would leave from; none is sent
}

// Interface is one network interface.
type Interface struct {
	Name     string
	Up       bool
	Loopback bool
	Addrs    []netip.Addr
}

// Names of the steps before the server's.
const (
	StepConfig    = "config"
	StepClock     = "clock"
	StepInterface = "interface"
	StepRoute     = "route"
)

// anywhere are addresses of documentation (RFC 5737, RFC 3849): whoever has a way to them has a default route.
func anywhere() []netip.Addr {
	return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
}

func (m Machine) orThis() Machine {
	if m.Interfaces == nil {
		m.Interfaces = interfaces
	}
	if m.Source == nil {
		m.Source = source
	}
	return m
}

func interfaces() ([]Interface, error) {
	found, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []Interface
	for _, i := range found {
		one := Interface{Name: i.Name, Up: i.Flags&net.FlagUp != 0 && i.Flags&net.FlagRunning != 0,
			Loopback: i.Flags&net.FlagLoopback != 0}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, fmt.Errorf("addresses of %s: %w", i.Name, err)
		}
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				one.Addrs = append(one.Addrs, p.Addr())
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// source connects a UDP socket, which asks the kernel's routes and sends nothing.
func source(to netip.Addr) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func configStep(fault string) Step {
	return Step{Name: StepConfig, Status: Warn, Fault: "config", Text: fault,
		Hint: "linkbeat check tells every fault with its line"}
}

func clockStep(now, built time.Time) Step {
	return Step{Name: StepClock, Status: Warn, Fault: "clock", Hint: "set it (timedatectl), and see whether NTP gets through",
		Text: fmt.Sprintf("this machine's clock says %s, and linkbeat was built %s", now.UTC().Format(time.DateTime),
			built.UTC().Format(time.DateTime))}
}

// usable are the addresses that reach further than the cable.
func (i Interface) usable() (all []string) {
	for _, a := range i.Addrs {
		if a.IsGlobalUnicast() {
			all = append(all, a.String())
		}
	}
	return all
}

// interfaceStep wants one that is up and has an address, and of those in uplink.interfaces at least one. For a server on this
// machine itself none is needed.
func interfaceStep(all []Interface, err error, wanted []string, local bool) Step {
	s := Step{Name: StepInterface, Status: OK}
	if err != nil {
		s.Status, s.Fault, s.Text, s.Hint = Warn, "other", err.Error(), "look with: ip address"
		return s
	}
	var good, bad []string
	for _, i := range all {
		asked := slices.Contains(wanted, i.Name)
		switch addrs := i.usable(); {
		case i.Loopback && !asked, len(wanted) > 0 && !asked:
		case !i.Up:
			bad = append(bad, i.Name+" is down")
		case len(addrs) == 0:
			bad = append(bad, i.Name+" has no address")
		default:
			good = append(good, i.Name+" "+strings.Join(addrs, " "))
		}
	}
	for _, name := range wanted {
		if !slices.ContainsFunc(all, func(i Interface) bool { return i.Name == name }) {
			bad = append(bad, name+" does not exist")
		}
	}
	if len(wanted) == 0 && len(good) > 0 {
		bad = nil // they are not needed
	}
	s.Text = strings.Join(append(good, bad...), ", ")
	switch {
	case len(good) == 0 && local:
		s.Status, s.Fault, s.Text = Warn, "interface", join(s.Text, "none but this machine's own loopback")
	case len(good) == 0:
		s.Status, s.Fault, s.Text = Fail, "interface", join(s.Text, "there is none but loopback")
		s.Hint = "no interface can be used: is the cable in, has the modem its SIM and a connection, does DHCP answer? ip address"
	case len(wanted) > 0 && len(bad) > 0:
		s.Status, s.Fault, s.Hint = Warn, "interface", "not all of uplink.interfaces can be used: check their names and cables"
	}
	return s
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// route asks the kernel for the way to the server or its proxy. Of a name only the default route is asked, as its addresses come
// later; having none is no failure then: its network may need none.
func (o Options) route(s config.Server, via *transport.Proxy) Step {
	start, host := time.Now(), s.Host()
	if via != nil {
		host, _, _ = net.SplitHostPort(via.Addr)
	}
	to, err := netip.ParseAddr(host)
	targets := []netip.Addr{to}
	if err != nil {
		targets = anywhere()
	}
	var from []string
	var errs []error
	for _, t := range targets {
		a, err := o.Machine.Source(t)
		if err == nil {
			from = append(from, a.String())
		}
		errs = append(errs, err)
	}
	step := routeStep(host, len(targets) > 1, from, errors.Join(errs...))
	step.TookMS = milliseconds(time.Since(start))
	return step
}

// routeStep judges: from are the addresses that packets would leave from.
func routeStep(host string, isName bool, from []string, err error) Step {
	s := Step{Name: StepRoute, Status: OK, Text: fmt.Sprintf("to %s from %s", host, strings.Join(from, ", "))}
	if isName {
		s.Text = "default route from " + strings.Join(from, ", ")
	}
	switch {
	case len(from) > 0:
		return s
	case isName && host == "localhost":
		s.Text = "no default route, and none is needed"
		return s
	case isName:
		s.Status, s.Fault, s.Text = Warn, string(diagnose.FaultUnreachable),
			"there is no default route: only our own networks can be reached"
	default:
		s.Status, s.Fault, s.Text = Fail, string(diagnose.FaultUnreachable), fmt.Sprintf("there is no route to %s", host)
		if !errors.Is(err, syscall.ENETUNREACH) && !errors.Is(err, syscall.EHOSTUNREACH) {
			s.Text += ": " + err.Error()
		}
	}
	s.Hint = "is the modem connected, did DHCP give a gateway? ip route"
	return s
}
