package agent

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/delivery"
	"github.com/linkbeat/linkbeat/agent/pump"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// keeperOf makes what holds back the topics that a server denies.
func (u *uplinkRun) keeperOf(d *config.Document) *delivery.Keeper {
	mine, other := u.topics, topicsOf(d, transport.TrialID(u.id))
	return delivery.New(delivery.Options{Link: u.link.Trials(), Memory: u.paths, Topics: topicsUsed(d, mine, other),
		Gone: func(topic string) (transport.EchoTopic, bool) { return goneTopic(topic, mine, other) },
		// The trial's session has number 0, as its client id has.
		Probe:  wire.Expand(mine.Probe, "n", "0"),
		State:  transport.EchoTopic{Class: "state", Topic: mine.State, Other: other.State},
		Advice: adviceOf(d, u.id), Exhausted: u.ledger.Exhausted, Affords: u.affords(d), Backlog: u.backlog, Log: u.log})
}

// affords pays trials of sizes, within heartbeat.probe_budget, of which the search has so much less.
func (u *uplinkRun) affords(d *config.Document) func(bytes int) bool {
	budget := heartbeat.NewBudget(budgetOf(d.Heartbeat), heartbeat.BudgetState{}, time.Now())
	return func(bytes int) bool { // with the keeper's lock
		if now := time.Now(); budget.Left(now) >= int64(bytes) {
			budget.Spend(int64(bytes), now)
			u.link.Trials().Charge(bytes)
			return true
		}
		return false
	}
}

// backlog is what waits for the server.
func (u *uplinkRun) backlog() delivery.Backlog {
	b := delivery.Backlog{Records: u.pump.Waiting()}
	for _, s := range []*spool.Spool{u.data, u.high} { // replies have little to say of how long the rest has room
		is := s.Status()
		b.Bytes, b.Most = b.Bytes+is.Bytes, b.Most+is.Most
	}
	return b
}

// topicsUsed are those that this configuration publishes to, each with the same of another gateway. State is not among them.
func topicsUsed(d *config.Document, mine, other wire.Topics) (all []transport.EchoTopic) {
	add := func(class, topic, foreign string) {
		all = append(all, transport.EchoTopic{Class: class, Topic: topic, Other: foreign})
	}
	addData := func(ours, theirs pump.Route) {
		all = append(all, transport.EchoTopic{Class: delivery.ClassData, Topic: ours.Published(), Other: theirs.Published(),
			Zipped: ours.Gzip})
	}
	ours, theirs := routesOf(d, mine), routesOf(d, other)
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if s := d.Serial[name]; s != nil && s.IsBus() {
			continue // its units publish
		}
		addData(ours[name], theirs[name])
	}
	for _, name := range slices.Sorted(maps.Keys(d.Serial)) {
		s := d.Serial[name]
		reply := func(suffix string, names ...string) {
			for _, n := range names {
				add(delivery.ClassReply, wire.Expand(mine.Reply, "name", n)+suffix, wire.Expand(other.Reply, "name", n)+suffix)
			}
		}
		if s.Commands {
			reply("", append(slices.Sorted(maps.Keys(s.Units)), name)...)
		}
		if s.Console {
			reply(wire.ConsoleSuffix, name)
		}
	}
	add("info", mine.Info, other.Info)
	if d.Stats.Every > 0 || d.Heartbeat.Report > 0 {
		add("stats", mine.Stats, other.Stats)
	}
	return append(all, transport.EchoTopic{Class: "state", Topic: mine.State, Other: other.State})
}

// goneTopic is a data topic of ours that no device has any more: its records may still wait.
func goneTopic(topic string, mine, other wire.Topics) (transport.EchoTopic, bool) {
	bare, zipped := strings.CutSuffix(topic, wire.GzipSuffix)
	vars, ok := wire.Match(mine.Data, bare)
	if !ok {
		return transport.EchoTopic{}, false
	}
	foreign := wire.Expand(other.Data, "name", vars["name"])
	if zipped {
		foreign += wire.GzipSuffix
	}
	return transport.EchoTopic{Class: delivery.ClassData, Topic: topic, Other: foreign, Zipped: zipped}, true
}

// adviceOf is what a person needs to mend access rules.
func adviceOf(d *config.Document, id string) delivery.Advice {
	a := delivery.Advice{ID: id, Groups: d.Device.Groups}
	usual := strings.TrimPrefix(wire.DefaultTopics().Data, "lb")
	a.Prefix, _ = strings.CutSuffix(d.Topics.Data, usual)
	if a.Prefix == d.Topics.Data {
		a.Prefix = ""
	}
	return a
}
