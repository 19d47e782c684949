package estimate

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
)

// Assumptions are what a document cannot know. Each has a default that stands for zero.
type Assumptions struct {
	FramesPerDay float64 // of each serial device; if zero, 1440: one a minute
	FrameBytes   int     // of each frame, as the device sends it; if zero, 60
	// the beat that will be learnt, as `linkbeat probe` tells; if zero, anything from heartbeat.min to heartbeat.max
	Interval   time.Duration
	Reconnects float64 // a day; if zero, 1
	Commands   float64 // a day, to all devices together that take any; if zero, 10
}

func (a Assumptions) withDefaults() Assumptions {
	a.FramesPerDay = cmp.Or(a.FramesPerDay, 1440)
	a.FrameBytes = cmp.Or(a.FrameBytes, 60)
	a.Reconnects = cmp.Or(a.Reconnects, 1)
	a.Commands = cmp.Or(a.Commands, 10)
	return a
}

// Range is a number of bytes a month: on a good path, as is to be expected, and at worst. They are the
// same where nothing is open.
type Range struct {
	Low      int64 `json:"low"`
	Expected int64 `json:"expected"`
	High     int64 `json:"high"`
}

// Row is what one cause costs.
type Row struct {
	Cause string `json:"cause"`
	Range
}

// Estimate is what a document costs.
type Estimate struct {
	Rows        []Row    `json:"causes"`
	Total       Range    `json:"total"`
	Budget      int64    `json:"budget"` // uplink.budget.month; 0: none
	Assumptions []string `json:"assumptions"`
}

// The causes of an estimate, in the order of its table. Telemetry has a row for each device, the name behind it.
const (
	Handshakes = "handshakes"
	Pings      = "pings"
	Telemetry  = "telemetry"
	Commands   = "commands"
	Stats      = "stats"
	Info       = "info"
	Logs       = "logs"
	Probes     = "probes"
	Headers    = "headers"
)

// Share is what part of the budget n bytes take; 0 without a budget.
func (e Estimate) Share(n int64) float64 {
	if e.Budget == 0 {
		return 0
	}
	return float64(n) / float64(e.Budget)
}

// Over tells whether more is to be expected than the budget has.
func (e Estimate) Over() bool { return e.Share(e.Total.Expected) > 1 }

// Of estimates a document that is good.
func Of(d *config.Document, a Assumptions) Estimate {
	a = a.withDefaults()
	low, expected, high := scenarios(d, a)
	e := Estimate{Budget: d.Uplink.Budget.Month.Int64(), Assumptions: assumptions(d, a, low, expected, high)}
	costs := []map[string]float64{cost(d, a, low), cost(d, a, expected), cost(d, a, high)}
	for _, cause := range causes(d) {
		r := Range{round(costs[0][cause]), round(costs[1][cause]), round(costs[2][cause])}
		e.Rows = append(e.Rows, Row{cause, r})
		e.Total.Low += r.Low
		e.Total.Expected += r.Expected
		e.Total.High += r.High
	}
	return e
}

func round(f float64) int64 { return int64(math.Round(f)) }

// causes are those of a document, in order.
func causes(d *config.Document) []string {
	all := []string{Handshakes, Pings}
	for _, name := range slices.Sorted(maps.Keys(d.Serial)) {
		all = append(all, telemetry(name))
	}
	return append(all, Commands, Stats, Info, Logs, Probes, Headers)
}

func telemetry(device string) string { return Telemetry + " " + device }

// scenario is one way in which a month may go.
type scenario struct {
	interval time.Duration // of the beat
	redials  float64       // planned ones after each session, for another keepalive
	infos    float64       // that up/info changes in a session
	tests    float64       // of silences after each reconnect; +Inf: all that the budget pays
	canary   float64       // at every Nth beat; 0: none
	logs     float64       // part of log.ship_budget that is used
}

// How much goes on while the beat is learnt, on a known path and on one that is searched again each time.
const (
	knownTests, unknownTests = 3, 12
	learntInfos              = 4
	autoCanary               = 25 // package transport's choice
	usualLogs                = 0.1
)

// scenarios are the best, the usual and the worst month of a document.
func scenarios(d *config.Document, a Assumptions) (low, expected, high scenario) {
	low, expected, high = scenario{infos: 1}, scenario{infos: 1, logs: usualLogs}, scenario{infos: 1, logs: 1}
	all := []*scenario{&low, &expected, &high}
	h, most := d.Heartbeat, d.Uplink.ConnectKeepalive() // which no beat exceeds
	if h.Learn == "off" {
		for _, s := range all {
			s.interval = min(h.Interval.Std(), most)
		}
		return low, expected, high
	}
	longest, shortest := min(h.Max.Std(), most), min(h.Min.Std(), most)
	low.interval, high.interval = longest, shortest
	expected.interval = time.Duration(math.Sqrt(float64(longest) * float64(shortest))).Round(time.Second)
	low.tests, expected.tests, high.tests = knownTests, unknownTests, math.Inf(1)
	for i, s := range all {
		if a.Interval > 0 {
			s.interval = min(a.Interval, longest)
		}
		if i > 0 {
			s.infos = learntInfos
		}
		if i > 0 && d.Uplink.Keepalive.Auto {
			s.redials = 1
		}
		switch {
		case h.Canary == "pair":
			s.canary = 1
		case h.Canary.Every() > 0:
			s.canary = float64(h.Canary.Every())
		case h.Canary != "off" && i > 0: // auto: where pings tell, none is needed
			s.canary = autoCanary
		}
	}
	return low, expected, high
}

// cost is what a month of a scenario costs, by cause.
func cost(d *config.Document, a Assumptions, s scenario) map[string]float64 {
	n := newNet(d)
	p := packets{d: d, topics: topicsOf(d)}
	connects := days * a.Reconnects
	replaced := connects * s.redials
	if life := d.Uplink.MaxSession.Std(); life > 0 {
		replaced += month.Seconds() / life.Seconds()
	}
	n.session(Handshakes, connects, false, p.session()...)
	n.session(Handshakes, replaced, true, p.session()...)

	sent := n.publishes(Info, (connects+replaced)*s.infos, p.info())
	for name, device := range d.Serial {
		if device.IsBus() {
			for _, s := range p.polls(device) {
				sent += n.publishes(telemetry(name), s.count, s.size)
			}
			continue
		}
		count, size := p.telemetry(name, device, a)
		sent += n.publishes(telemetry(name), count, size)
	}
	if p.takesCommands() {
		sent += n.publishes(Commands, days*a.Commands, p.command(), p.reply()) / 2 // one of the two is ours
	}
	if every := d.Stats.Every.Std(); every > 0 {
		count := month.Seconds() / every.Seconds()
		n.exchange(Stats, count, p.stats(0))
		sent += count
	}
	if d.Log.Ship != "off" {
		sent += n.publishes(Logs, days*float64(d.Log.ShipBudget.Int64())*s.logs/logLines, publish(p.topics.Log, logLines, 1))
	}
	beats := pings(sent, s.interval)
	if d.Heartbeat.Report > 0 {
		reports := beats / float64(d.Heartbeat.Report)
		n.publishes(Stats, reports, p.stats(1))
		beats -= reports
	}
	n.exchange(Pings, beats, pingreq, pingresp)
	if s.tests > 0 {
		n.probes(d, p, s, connects)
	}
	return n.bytes
}

// pings is how many of them a month has, with so many other packets sent at random times: each puts the next one off.
func pings(sent float64, interval time.Duration) float64 {
	each := sent * interval.Seconds() / month.Seconds() // packets in an interval
	if each < 1e-9 {
		return month.Seconds() / interval.Seconds()
	}
	return sent / math.Expm1(each)
}

func topicsOf(d *config.Document) wire.Topics {
	t := d.Topics
	return wire.Topics{State: t.State, Info: t.Info, Data: t.Data, Reply: t.Reply, Log: t.Log, Stats: t.Stats,
		Reported: t.Reported, Cmd: t.Cmd, Config: t.Config, Group: t.Group, Probe: t.Probe}.For(idOf(d))
}
