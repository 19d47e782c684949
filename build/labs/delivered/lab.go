// Package delivered shows that acknowledged is not delivered: the real agent before servers that acknowledge what they throw
// away, close at what they do not like, forget, or come back late; what arrives is counted behind them, and what `why` says is
// read as a person reads it.
package delivered

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Lab is this laboratory's row of the table.
func Lab() kit.Lab {
	return kit.Lab{
		Name: "delivered",
		Promise: "servers that acknowledge and throw away, close, forget, or know no retained messages; clocks that jump; what " +
			"is live beside a backlog; diag beside the agent: nothing is given away knowingly, and `why` says so",
		Needs: []string{"mosquitto", "nats-server", "rabbitmq-server"},
		Takes: 28 * time.Minute, Limit: 60 * time.Minute,
		Short: short().run, Full: full().run,
	}
}

// only is the variable with which the names of the parts to be run begin, as `go test -v` prints them: LAB_DELIVERED_ONLY=rules.
const only = "LAB_DELIVERED_ONLY"

// options choose how much is shown.
type options struct {
	Full   bool
	Lasts  time.Duration // how long a situation lasts that takes its time, in the full form
	Diags  int           // runs of diag beside an agent
	AtOnce int
}

// short is what `make test` runs.
func short() options { return options{Diags: 4, AtOnce: 60} }

// full is what `make lab-delivered` runs.
func full() options {
	return options{Full: true, Lasts: 6 * time.Minute, Diags: 20, AtOnce: 40}
}

// lab is what every part is given, each with a table of its own, so that the rows stand in the order of the issue.
type lab struct {
	*kit.Env
	t *kit.Table
	o options

	agent  string // the program
	skewed string // the same, with a wall clock that can be moved
}

// part is one chapter.
type part struct {
	name  string
	run   func(lab) error
	long  bool // of the full form alone
	alone bool // what it measures does not stand other parts beside it: it comes after them
}

// parts in the order of the table.
func parts() (all []part) {
	for i, r := range rows() {
		all = append(all, part{name: r.name, run: func(l lab) error { return r.run(l, fmt.Sprint("gw-d", i)) }})
	}
	all = append(all, rulesParts()...)
	all = append(all, clockParts()...)
	all = append(all, liveParts()...)
	return append(all, []part{
		{name: "stories", run: lab.stories},
		{name: "diag", run: lab.diags},
		{name: "healthy", run: lab.healthy},
		{name: "healthy at NATS and RabbitMQ", run: lab.healthyElsewhere, long: true},
		{name: "bytes", run: lab.bytes},
		{name: "size", run: lab.size, long: true, alone: true},
	}...)
}

// run shows all of it, side by side, and then what is measured alone.
func (o options) run(e *kit.Env, t *kit.Table) error {
	l := lab{Env: e, t: t, o: o}
	var err error
	if l.agent, err = e.BuildAgent(""); err != nil {
		return err
	}
	l.skewed = filepath.Join(e.Dir, "linkbeat-skewed")
	if o.Full {
		if err := kit.BuildSkewed(e.Ctx, l.skewed); err != nil {
			return err
		}
	}
	l.explain()
	tables := map[string]*kit.Table{}
	var beside, alone []func() error
	var names []string
	for _, p := range parts() {
		if name := os.Getenv(only); name != "" && !strings.HasPrefix(p.name, name) || name == "" && p.long && !o.Full {
			continue
		}
		mine := lab{Env: e, t: kit.NewTable(t.Target), o: o, agent: l.agent, skewed: l.skewed}
		if !o.Full {
			mine.t.Brief()
		}
		tables[p.name], names = mine.t, append(names, p.name)
		job := func() error {
			began := time.Now()
			if err := p.run(mine); err != nil {
				mine.t.Check(p.name, err)
			}
			e.Logf("%s: %.1f s", p.name, time.Since(began).Seconds())
			return nil
		}
		if p.alone {
			alone = append(alone, job)
		} else {
			beside = append(beside, job)
		}
	}
	if err := kit.SideBySide(o.AtOnce, beside); err != nil {
		return err
	}
	if err := kit.SideBySide(1, alone); err != nil {
		return err
	}
	for _, name := range names {
		t.Rows = append(t.Rows, tables[name].Rows...)
		t.Says = append(t.Says, tables[name].Says...)
	}
	return e.Ctx.Err()
}

func (l lab) explain() {
	l.t.Say("Frames are numbered, and counted by a subscriber at the broker that knows nothing of the agent. Lost: handed to the")
	l.t.Say("serial port, gone from the spool, and neither in those books nor in quarantine; where a way to deliver exists, also")
	l.t.Say("what did not arrive. Twice: the same (epoch, seq) again. Each note says what was seen before, and what is seen now:")
	l.t.Say("bytes of the ledger, and the time until `why` said its sentence, from the start of the agent or of the trouble.")
}
