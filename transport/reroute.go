package transport

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/linkbeat/linkbeat/transport/backoff"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// judged lets the address and the interface of a session rest that ended as v, or forgives them.
func (l *Link) judged(s *session, v faults.Verdict) {
	a := netdial.AddressOf(s.conn.RemoteAddr())
	if !a.IsValid() {
		return
	}
	now := time.Now()
	switch {
	case v.Loss == faults.LossAddress || v.Kind == faults.OutcomeStopped || v.Kind == faults.OutcomePlanned || v.Kind == faults.OutcomeRefused:
	case v.Up && v.Lasted >= backoff.StableAfter:
		s.e.Cooldown.Clear(a)
		if s.stream.Bound != "" {
			l.dialer.Interfaces.Cooldown.Clear(s.stream.Bound)
		}
		fallthrough
	default:
		s.e.Cooldown.Fail(a, now)
		if s.stream.Bound != "" && v.Kind == faults.OutcomeSilence {
			l.dialer.Interfaces.Cooldown.Fail(s.stream.Bound, now)
		}
	}
}

// lookAtWays is called after something about interfaces, addresses or routes has changed, and once when the session is up.
func (s *session) lookAtWays(now time.Time) {
	local, ok := s.conn.LocalAddr().(*net.TCPAddr)
	if !ok || !s.isUp || s.l.o.Dial != nil || local.IP.IsLoopback() {
		return
	}
	if netdial.InterfaceOf(local.IP) == "" {
		_ = s.conn.fail(&faults.Fault{Kind: faults.OutcomeSilence, Loss: faults.LossAddress, Msg: fmt.Sprintf("our address %s is gone", local.IP)})
		return
	}
	if w := &s.l.dialer.Interfaces; w.Bound() {
		switch name, rested := w.Better(s.stream.Bound); {
		case name == "":
			s.wayTo, s.wayAt = "", time.Time{}
		case name != s.wayTo || s.wayAt.IsZero(): // else it goes on waiting, whatever changes elsewhere
			s.wayTo, s.wayAt = name, later(rested, now.Add(holdDown*s.l.o.DetectWithin))
		}
		return
	}
	source, ok := netdial.SourceFor(s.conn.RemoteAddr())
	if m := (rerouted{netdial.AddressOf(local), source}); ok && m.to != m.from && s.l.mayReroute(m, now) {
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
