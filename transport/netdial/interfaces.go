package netdial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
)

// Interfaces are those that connections may leave by, in order of preference; none: the kernel chooses. Safe for concurrent use.
type Interfaces struct {
	Cooldown Cooldown[string] // those that failed lately

	names   []string               // immutable
	unbound atomic.Pointer[string] // why we may not bind; nil: we may, as far as is known
}

// Bound reports whether connections are bound to interfaces.
func (i *Interfaces) Bound() bool { return len(i.names) > 0 && i.unbound.Load() == nil }

// toTry are the interfaces to try now, the best first; "" is the kernel's choice. An error when none can be used.
func (i *Interfaces) toTry(now time.Time) ([]string, error) {
	if !i.Bound() {
		return []string{""}, nil
	}
	var fit, unfit []string
	for _, name := range i.names {
		if err := usable(name); err != nil {
			unfit = append(unfit, err.Error())
		} else {
			fit = append(fit, name)
		}
	}
	if len(fit) == 0 {
		return nil, &faults.Fault{Kind: faults.OutcomeSilence, Msg: "no interface can be used: " + strings.Join(unfit, ", ")}
	}
	return i.Cooldown.sort(fit, now), nil
}

// Better is the best interface that is preferred to name and could be used, and since when it has rested; "": there is none.
func (i *Interfaces) Better(name string) (string, time.Time) {
	for _, n := range i.names {
		if n == name || !i.Bound() {
			break
		}
		if usable(n) == nil {
			return n, i.Cooldown.Until(n)
		}
	}
	return "", time.Time{}
}

// bindForbidden is called when the kernel did not let us bind.
func (i *Interfaces) bindForbidden(name string, err error) {
	why := fmt.Sprintf("not permitted to bind to %s (%v), so the kernel chooses the interface: give the service CAP_NET_RAW",
		name, err)
	i.unbound.CompareAndSwap(nil, &why)
}

// Why says, for people, what is wrong with the interfaces; empty: nothing.
func (i *Interfaces) Why() string {
	if why := i.unbound.Load(); why != nil {
		return *why
	}
	return ""
}

// usable says why an interface cannot be used now; nil: it can, as far as this machine knows.
func usable(name string) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("%s does not exist", name)
	}
	if i.Flags&net.FlagUp == 0 || i.Flags&net.FlagRunning == 0 {
		return fmt.Errorf("%s is down", name)
	}
	all, err := i.Addrs()
	if err == nil && slices.ContainsFunc(all,
		func(a net.Addr) bool { n, ok := a.(*net.IPNet); return ok && n.IP.IsGlobalUnicast() }) {
		return nil
	}
	return fmt.Errorf("%s has no address", name)
}

// ByInterface dials by the interfaces that can be used now, the best first, until one answers; names as those of Options.
// Where the kernel does not let it bind it returns an error, unlike a Dialer, which goes on without.
func ByInterface(names []string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	w := &Interfaces{names: names}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		order, err := w.toTry(time.Now())
		for i, name := range order {
			var c net.Conn
			if c, err = dialBy(ctx, name, len(order)-i, network, addr); err == nil || ctx.Err() != nil {
				return c, err
			}
		}
		return nil, err
	}
}

// dialBy dials by one interface, in its share of the time when so many are left.
func dialBy(ctx context.Context, name string, left int, network, addr string) (net.Conn, error) {
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(end)/time.Duration(left))
		defer cancel()
	}
	var rtoMax atomic.Bool
	d := net.Dialer{KeepAlive: -1, KeepAliveConfig: net.KeepAliveConfig{Enable: false},
		Control: socketOptions(DefaultDetectWithin, &rtoMax, name)}
	c, err := d.DialContext(ctx, network, addr)
	if errors.Is(err, os.ErrPermission) && name != "" {
		return nil, &faults.Fault{Kind: faults.OutcomeSilence,
			Msg: fmt.Sprintf("not permitted to bind to %s: run this as root, or with CAP_NET_RAW", name)}
	}
	return c, err
}

// InterfaceOf is the interface of this machine that has ip; "": none has.
func InterfaceOf(ip net.IP) string {
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

// SourceFor is the address that the kernel would connect to remote from. Connecting a UDP socket asks its routes and sends
// nothing.
func SourceFor(remote net.Addr) (netip.Addr, bool) {
	c, err := net.Dial("udp", remote.String())
	if err != nil {
		return netip.Addr{}, false
	}
	defer c.Close()
	return AddressOf(c.LocalAddr()), true
}

// AddressOf is the IP address of a; invalid for what has none.
func AddressOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
