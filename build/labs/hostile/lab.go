// Package hostile shows what strangers can reach: servers, paths, tenants of the broker, devices and local users that do as they
// like with the real programs, whose memory, output, files and commands are watched from outside. It knows the product by its
// command lines, documents, topics and files, but for the malformed sessions, which drive package transport in this process so
// that ten thousand of them take seconds.
package hostile

import (
	"fmt"
	"os"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Lab is this laboratory's row of the table.
func Lab() kit.Lab {
	return kit.Lab{
		Name: "hostile",
		Promise: "floods, bombs and endless handshakes against the memory of both programs; control characters at every edge; " +
			"malformed sessions; power cuts; a clock that goes back; who sees a password; what SECURITY.md claims",
		Needs: []string{"root", "ip", "mosquitto", "strace", "unshare", "setpriv"},
		Takes: 5 * time.Minute, Limit: 30 * time.Minute, Short: short().run, Full: full().run,
	}
}

// only is the variable that names the one part to be run, as `go test -v` prints them: LAB_HOSTILE_ONLY=cuts.
const only = "LAB_HOSTILE_ONLY"

// options choose how much is shown.
type options struct {
	Full     bool
	Flood    time.Duration // how long each flood lasts
	Sessions int           // malformed ones
	Cuts     int           // of the recorded run's prefixes, about so many are restarted, each under every model; 0: all
	Docs     int           // of the configurations with passwords
}

// short is what `make test` runs.
func short() options { return options{Flood: 2 * time.Second, Sessions: 1500, Cuts: 4, Docs: 6} }

// full is what `make lab-hostile` runs.
func full() options { return options{Full: true, Flood: 12 * time.Second, Sessions: 12_000, Docs: 30} }

// part is one chapter of the laboratory.
type part struct {
	name string
	run  func(lab) error
	long bool // of the full form alone

	alone bool // it counts what is open, or resident, in this process: before the others
}

// lab is what every part is given.
type lab struct {
	*kit.Env
	t *kit.Table
	o options

	agent, ctl string // the programs
}

func parts() []part {
	return []part{
		// First: the kernel's peak of a process that has ended is no less than what we held when we started it.
		{name: "diallers", run: lab.everyDialler, long: true, alone: true},
		{name: "claims", run: lab.claims},
		{name: "sessions", run: lab.sessions, alone: true},
		{name: "descriptors", run: lab.descriptors, alone: true},
		{name: "floods", run: lab.floods},
		{name: "budget", run: lab.budgets},
		{name: "answers", run: lab.answers},
		{name: "healthy", run: lab.healthy},
		{name: "state", run: lab.statePart},
		{name: "large-files", run: lab.largeFiles},
		{name: "operator", run: lab.operator},
		{name: "edges", run: lab.edges},
		{name: "files", run: lab.files},
		{name: "disks", run: lab.disks},
		{name: "passwords", run: lab.passwords},
		{name: "cuts", run: lab.cuts},
		{name: "clock", run: lab.clockBack, long: true},
		{name: "size", run: lab.size, long: true},
	}
}

// run shows all of it, side by side where nothing is measured.
func (o options) run(e *kit.Env, t *kit.Table) error {
	l := lab{Env: e, t: t, o: o}
	var err error
	if l.agent, err = e.BuildAgent(""); err != nil {
		return err
	}
	l.ctl = e.Dir + "/linkbeatctl"
	if err := kit.Build(e.Ctx, "cmd/linkbeatctl", l.ctl); err != nil {
		return err
	}
	t.Say("Peak memory is VmHWM of the real program. Frames are counted by a subscriber at mosquitto that knows nothing of it;")
	t.Say("beside each flood a healthy agent with the same document says nothing in `why`.")
	var alone, jobs []func() error
	for _, p := range parts() {
		if name := os.Getenv(only); name != "" && p.name != name || name == "" && p.long && !o.Full {
			continue
		}
		job := func() error {
			began := time.Now()
			err := p.run(l)
			e.Logf("%s: %.1f s", p.name, time.Since(began).Seconds())
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			return nil
		}
		if p.alone {
			alone = append(alone, job)
		} else {
			jobs = append(jobs, job)
		}
	}
	if err := kit.SideBySide(1, alone); err != nil {
		return err
	}
	return kit.SideBySide(4, jobs)
}
