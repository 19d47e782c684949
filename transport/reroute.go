package transport

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
)

// judged lets the address and the interface of a session rest that ended as v, or forgives them.
func (l *Link) judged(s *session, v faults.Verdict) {
	a := addressOf(s.conn.RemoteAddr())
	if !a.IsValid() {
		return
	}
	now := time.Now()
	switch {
	case v.Loss == faults.LossAddress || v.Kind == faults.OutcomeStopped || v.Kind == faults.OutcomePlanned || v.Kind == faults.OutcomeRefused:
	case v.Up && v.Lasted >= stableAfter:
		s.e.rests.fine(a)
		if s.stream.iface != "" {
			l.dialer.interfaces.rests.fine(s.stream.iface)
		}
		fallthrough
	default:
		s.e.rests.failed(a, now)
		if s.stream.iface != "" && v.Kind == faults.OutcomeSilence {
			l.dialer.interfaces.rests.failed(s.stream.iface, now)
		}
	}
}

// lookAtWays is called after something about interfaces, addresses or routes has changed, and once when the session is up.
func (s *session) lookAtWays(now time.Time) {
	local, ok := s.conn.LocalAddr().(*net.TCPAddr)
	if !ok || !s.isUp || s.l.o.Dial != nil || local.IP.IsLoopback() {
		return
	}
	if InterfaceOf(local.IP) == "" {
		_ = s.conn.fail(&faults.Fault{Kind: faults.OutcomeSilence, Loss: faults.LossAddress, Msg: fmt.Sprintf("our address %s is gone", local.IP)})
		return
	}
	if w := &s.l.dialer.interfaces; w.bound() {
		switch name, rested := w.better(s.stream.iface); {
		case name == "":
			s.wayTo, s.wayAt = "", time.Time{}
		case name != s.wayTo || s.wayAt.IsZero(): // else it goes on waiting, whatever changes elsewhere
			s.wayTo, s.wayAt = name, later(rested, now.Add(holdDown*s.l.o.DetectWithin))
		}
		return
	}
	source, ok := sourceFor(s.conn.RemoteAddr())
	if m := (rerouted{addressOf(local), source}); ok && m.to != m.from && s.l.mayReroute(m, now) {
		s.want(move{to: s.i, now: true})
	}
}

// rerouted is a change of the address that the kernel would connect from.
type rerouted struct{ from, to netip.Addr }

// mayReroute keeps a link from being dialled anew for ever where UDP, which is asked, takes another way than TCP.
func (l *Link) mayReroute(m rerouted, now time.Time) bool {
	if l.reroute == m && now.Sub(l.rerouted) < holdDown*l.o.DetectWithin && now.Sub(l.rerouted) > lookAgain {
		return false
	}
	if l.reroute != m || now.Sub(l.rerouted) >= holdDown*l.o.DetectWithin {
		l.reroute, l.rerouted = m, now
	}
	return true
}
