// Package heartbeat shows the heartbeat that learns where it must work: the real agent, the real mosquitto, and between them
// the kernel's own NAT with a limit of a few seconds, in every behaviour that was seen in the field.
package heartbeat

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

// Lab is this laboratory's row of the table.
func Lab() kit.Lab {
	return kit.Lab{
		Name: "heartbeat",
		Promise: "five behaviours of the kernel's NAT, limits of 6, 10, 20 s, loss, events: " +
			"no drop, the interval, 100 commands each",
		Needs: append(netlab.NATTools(), "mosquitto"),
		Takes: 26 * time.Minute, Limit: 35 * time.Minute, Short: short().run, Full: full().run,
	}
}

// options choose how much is shown.
type options struct {
	Cells    []Cell
	Events   []Event
	Commands int // of each cell
	AtOnce   int
}

// Cell is one NAT that the agent must learn, and then hear commands through.
type Cell struct {
	Behaviour netlab.Behaviour
	Limit     time.Duration
	Loss      int // percent
}

// goals are the parts of a limit that the interval must reach: the margin of one second weighs more on short ones.
var goals = map[time.Duration]float64{6 * time.Second: 0.8, 10 * time.Second: 0.85, 20 * time.Second: 0.9}

// short is what `make test` runs.
func short() options {
	return options{Commands: 10, AtOnce: 4, Cells: []Cell{
		{Behaviour: netlab.LooseRST, Limit: 6 * time.Second}, {Behaviour: netlab.Strict, Limit: 6 * time.Second},
	}}
}

// full is what `make lab-heartbeat` runs.
func full() options {
	o := options{Commands: 100, AtOnce: 12}
	for _, limit := range []time.Duration{20 * time.Second, 10 * time.Second, 6 * time.Second} { // the longest first
		for _, b := range netlab.Behaviours() {
			o.Cells = append(o.Cells, Cell{Behaviour: b, Limit: limit})
		}
	}
	for _, b := range []netlab.Behaviour{netlab.LooseSilent, netlab.Strict} {
		o.Cells = append(o.Cells, Cell{Behaviour: b, Limit: 10 * time.Second, Loss: 5})
	}
	o.Events = events()
	return o
}

// run shows all of it, side by side: each has namespaces, a broker and an agent of its own, and mostly waits.
func (o options) run(e *kit.Env, t *kit.Table) error {
	t.Say("Each cell has a NAT of the kernel (conntrack) with that idle limit. interval / limit: " +
		"of the settled heartbeat; drops:")
	t.Say(
		"connections lost until then; commands: sent through the broker, each after a silence uniform in 0 to 1.3 limits; late:")
	t.Say("not at the serial port within 2 s (with loss: 4 s, as TCP repeats).")
	if _, err := e.BuildAgent(""); err != nil {
		return err
	}
	var jobs []func() error
	for i, c := range o.Cells {
		jobs = append(jobs, func() error { return c.run(e, fmt.Sprintf("gw-c%d", i), o.Commands, t) })
	}
	for i, v := range o.Events {
		jobs = append(jobs, func() error { return v.run(e, fmt.Sprintf("gw-e%d", i), t) })
	}
	return kit.SideBySide(o.AtOnce, jobs)
}
