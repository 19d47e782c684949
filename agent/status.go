package agent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statedir"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/config"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/transport"
)

// status is how the gateway is, at one moment as far as its parts allow. Counters continue from where earlier runs
// left them.
func (u *uplinkRun) status() statuspage.Status {
	now := time.Now()
	u.mu.Lock() // before the parts are asked: what they count is then either not in the totals yet, or final
	booted, reloadFault, before := u.booted, u.reloadFault, u.before
	u.mu.Unlock()
	link := u.link.Status()
	s := statuspage.Status{
		ID: u.id, Version: u.o.Version, Epoch: u.data.Epoch(), StartedAt: u.started.UnixMilli(), Config: string(booted.Origin),
		Uplink: uplinkStatus(link), Heartbeat: heartbeatStatus(link), Bytes: statuspage.Bytes(link.Bytes),
		Serial: u.devices.status(), Commands: u.down.Status(), Facts: u.facts.Get(),
	}
	s.Uplink.MaxPayload, _ = u.delivery.Limit()
	s.Uplink.WorstDetectS = (link.Interval + u.doc.Uplink.DetectWithin.Std()).Seconds()
	data, replies := u.data.Status(), u.replies.Status()
	s.Spool, s.High, s.Replies = spoolStatus(data, now), spoolStatus(u.high.Status(), now), spoolStatus(replies, now)
	s.Month, s.Quarantine, s.ACL = u.ledger.Month(), u.quarantine.Status(), u.delivery.Verdicts()
	before.onto(&s)
	s.Why, s.Minor = u.why(s, booted, reloadFault, link)
	printable.Deep(&s, statuspage.MaxText) // servers, devices, programs and files speak in it; who reads it may print it
	return s
}

func uplinkStatus(link transport.Status) statuspage.Uplink {
	return statuspage.Uplink{State: link.State, Server: link.Server, Since: unixMilli(link.Since), Session: link.Sessions,
		Drops: link.Drops, Redials: link.Redials, RTTS: link.RTT.Seconds(), InFlight: link.InFlight, Oversized: link.Oversized,
		Unacknowledged: link.Unacknowledged,
		KeepaliveS:     link.Keepalive.Seconds(), Interface: link.Interface, Losses: lossesOf(link),
		CertExpires: unixMilli(link.Expiry.Server), OwnCertEnds: unixMilli(link.Expiry.Own), ThroughputBps: link.Throughput}
}

func lossesOf(link transport.Status) map[string]int64 {
	all := map[string]int64{}
	for how, n := range link.Losses {
		all[string(how)] = n
	}
	return all
}

// expiryWarning is how long before its end a certificate is mentioned.
const expiryWarning = 14 * 24 * time.Hour

// expires says that a certificate ends soon; empty: it does not.
func expires(whose string, ms int64, now time.Time) string {
	end := time.UnixMilli(ms)
	switch {
	case ms == 0 || end.Sub(now) > expiryWarning:
		return ""
	case end.Before(now):
		return fmt.Sprintf("the certificate of %s has expired on %s", whose, end.UTC().Format(time.DateOnly))
	}
	return fmt.Sprintf("the certificate of %s expires on %s, in %d days: renew it", whose, end.UTC().Format(time.DateOnly),
		int(end.Sub(now).Hours()/24))
}

// why is one sentence of everything that is wrong, the most serious first; empty: nothing is. minor: all of it can wait.
func (u *uplinkRun) why(s statuspage.Status, booted config.Booted, reloadFault string, link transport.Status) (
	sentence string, minor bool) {
	var all []string
	grave := 0
	wait := func(what, why string) {
		if why != "" {
			all = append(all, what+why)
		}
	}
	add := func(what, why string) {
		if wait(what, why); why != "" {
			grave++
		}
	}
	barred := u.barred.Get()
	local := func(what, why string) { // of one cause one advice is given
		if barred == "" || !statedir.OfRights(why) {
			add(what, why)
		}
	}
	add("", u.delivery.Why())
	add("", booted.ConfigError) // which says its name
	add("config_error: not reloaded: ", reloadFault)
	add("", strings.TrimSuffix(strings.TrimSuffix(link.Why, link.LeftOut), "; "))
	u.mu.Lock()
	local("", u.identityFault)
	u.mu.Unlock()
	wait("", booted.Concerns()) // which says its name too
	add("", barred)
	local("", u.paths.Why())
	local("spool: ", s.Spool.Why)
	local("spool of priority high: ", s.High.Why)
	local("reply spool: ", s.Replies.Why)
	local("", u.ledger.Why())
	local("", u.down.Why())
	if !u.clock.Unset() {
		certificate := func(whose string, end int64) {
			say := wait
			if end < time.Now().UnixMilli() {
				say = add
			}
			say("", expires(whose, end, time.Now()))
		}
		certificate("the server", s.Uplink.CertExpires)
		certificate("this gateway", s.Uplink.OwnCertEnds)
	}
	add("", u.losses.why())
	add("", u.pump.Why())
	for _, p := range u.dirs.All() {
		if p.Fault != nil {
			local("", p.Fault.Error())
		} else if !p.Lasting {
			local("", p.Others)
		}
	}
	if u.clock.Unset() {
		wait("", "the clock is not set")
	}
	for _, name := range slices.Sorted(maps.Keys(s.Serial)) {
		if d := s.Serial[name]; d.State != "open" && d.State != "disabled" { // which the configuration's error says
			add("serial "+name+": ", orState(d))
		}
		add("serial "+name+": no answer from ", deadUnits(s.Serial[name]))
	}
	add("", u.pageFault.Get())
	add("", u.door.fault.Get())
	wait("", u.delivery.Doubt())
	add("", link.LeftOut) // which works on without it
	return strings.Join(all, "; "), grave == 0 && len(all) > 0
}

func heartbeatStatus(link transport.Status) statuspage.Heartbeat {
	h := link.Heartbeat
	return statuspage.Heartbeat{
		IntervalS: link.Interval.Seconds(),
		ProvenS:   h.Proven.Seconds(), FailingS: h.Failing.Seconds(), RememberedS: h.Remembered.Seconds(),
		Phase: h.Phase, Path: h.Path, PathKind: h.Kind, Evidence: h.Evidence, Reason: h.Reason, Pings: link.Pings,
		Probes: h.Probes, Sessions: h.Sessions, Open: h.Open, Canaries: h.Canaries, Shrinks: h.Shrinks, CostBytes: h.Cost,
		BudgetBytes: h.Budget,
	}
}

// deadUnits names the units of a bus that do not answer.
func deadUnits(d statuspage.Serial) string {
	var dead []string
	for _, name := range slices.Sorted(maps.Keys(d.Units)) {
		if d.Units[name].State == bridge.UnitDead && d.State == bridge.Opened {
			dead = append(dead, name)
		}
	}
	return strings.Join(dead, ", ")
}

func orState(d statuspage.Serial) string {
	if d.Why == "" {
		return d.State
	}
	return d.Why
}

func spoolStatus(s spool.Status, now time.Time) statuspage.Spool {
	out := statuspage.Spool{Accepted: s.Accepted, Recovered: s.Recovered, Acked: s.Acked, Waiting: s.Waiting, Evicted: s.Evicted,
		Poison: s.Poison, Bytes: s.Bytes, WrittenBytes: s.WrittenBytes, Why: cmp.Or(s.Why, s.Found)}
	if !s.Oldest.IsZero() {
		out.OldestS = max(0, now.Sub(s.Oldest).Seconds())
	}
	return out
}

func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
