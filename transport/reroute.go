package transport

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/linkbeat/linkbeat/transport/backoff"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// updateCooldowns starts or clears the cooldown of a session's address and interface, by how the session ended.
func (l *Link) updateCooldowns(s *session, v faults.Verdict) {
	a := netdial.AddressOf(s.conn.RemoteAddr())
	if !a.IsValid() {
		return
	}
	now := time.Now()
	switch {
	case v.Loss == faults.LossAddress,
		v.Kind == faults.OutcomeStopped, v.Kind == faults.OutcomePlanned, v.Kind == faults.OutcomeRefused:
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

// rerouting watches for a better interface or route than that of the session; of the loop.
type rerouting struct {
	s      *session
	lookAt time.Time // when interfaces and routes are looked at again; zero: after the next change
	to     string    // the better interface
	at     time.Time // when it is tried; zero: there is none
}

// look is called after something about interfaces, addresses or routes has changed, and once when the session is up.
func (ro *rerouting) look(now time.Time) {
	local, ok := ro.s.conn.LocalAddr().(*net.TCPAddr)
	if !ok || !ro.s.up.is || ro.s.l.o.Dial != nil || local.IP.IsLoopback() {
		return
	}
	if netdial.InterfaceOf(local.IP) == "" {
		_ = ro.s.conn.fail(&faults.Fault{Kind: faults.OutcomeSilence, Loss: faults.LossAddress,
			Msg: fmt.Sprintf("our address %s is gone", local.IP)})
		return
	}
	if w := &ro.s.l.dialer.Interfaces; w.Bound() {
		switch name, rested := w.Better(ro.s.stream.Bound); {
		case name == "":
			ro.to, ro.at = "", time.Time{}
		case name != ro.to || ro.at.IsZero(): // else its time goes on, whatever changes elsewhere
			ro.to, ro.at = name, heartbeat.Later(rested, now.Add(holdDown*ro.s.l.o.DetectWithin))
		}
		return
	}
	source, ok := netdial.SourceFor(ro.s.conn.RemoteAddr())
	if m := (rerouted{netdial.AddressOf(local), source}); ok && m.to != m.from && ro.s.l.mayReroute(m, now) {
		ro.s.redial.request(redial{to: ro.s.i, now: true})
	}
}

// rerouted is a change of the address that the kernel would connect from.
type rerouted struct{ from, to netip.Addr }

// mayReroute bounds re-dials for the same change of address. SourceFor asks by UDP: where policy routes send UDP and TCP
// different ways, each new connection would look as if it had to be dialled again.
func (l *Link) mayReroute(m rerouted, now time.Time) bool {
	if l.reroute == m && now.Sub(l.reroutedAt) < holdDown*l.o.DetectWithin && now.Sub(l.reroutedAt) > lookAgain {
		return false
	}
	if l.reroute != m || now.Sub(l.reroutedAt) >= holdDown*l.o.DetectWithin {
		l.reroute, l.reroutedAt = m, now
	}
	return true
}
