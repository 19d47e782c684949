// Package modbus shows the Modbus master where it must work: against slaves of libmodbus behind a line that paces at 115200
// baud, against Modbus TCP of libmodbus, and beside mbpoll as a rival master that reads and writes the same registers.
package modbus

import (
	_ "embed" // testdata/slave.c
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Lab is this laboratory's row of the table.
func Lab() kit.Lab {
	return kit.Lab{
		Name: "modbus",
		Promise: "32 units on a paced line, two dead, requests between polls; units go wrong one by one; " +
			"the same values as mbpoll",
		Needs: []string{"mosquitto", "gcc", "libmodbus", "mbpoll"},
		Takes: 5 * time.Minute, Limit: 10 * time.Minute, Quiet: true, Short: short().run, Full: full().run,
	}
}

// options choose how much is shown.
type options struct {
	Units     int // on the bus, of which Dead are dead
	Dead      int
	Registers int
	Watch     time.Duration
	Worst     time.Duration // period of a live unit
	Share     float64       // of the seconds in which a live unit is to be polled
	Idle      time.Duration // that a queued request may wait on an idle bus
	Requests  int
	Trouble   time.Duration // of each kind
	Patience  time.Duration // with what a busy machine delays; 0: judged at once
}

// short is what `make test` runs, beside other tests that want the same processors: of time it says only
// that no unit is forgotten.
func short() options {
	return options{Units: 32, Dead: 2, Registers: 64, Watch: 10 * time.Second, Worst: 2500 * time.Millisecond, Share: 0.8,
		Idle: 200 * time.Millisecond, Requests: 20, Trouble: 5 * time.Second, Patience: 30 * time.Second}
}

// full is what `make lab-modbus` runs.
func full() options {
	return options{Units: 32, Dead: 2, Registers: 64, Watch: 2 * time.Minute, Worst: 1050 * time.Millisecond, Share: 0.98,
		Idle: 10 * time.Millisecond, Requests: 200, Trouble: 20 * time.Second}
}

//go:embed testdata/slave.c
var slaveSource []byte

// run shows all of it.
func (o options) run(e *kit.Env, t *kit.Table) error {
	t.Say("%d units × %d registers on one line of 115200 baud, %d of them dead; each live one is to be read every second. "+
		"Periods are", o.Units, o.Registers, o.Dead)
	t.Say("those between two requests to a unit as the line saw them. Requests come through the broker while the polls go on; " +
		"the worst")
	t.Say("latency is that of one behind a try of a dead unit, for which the bus is taken until its timeout (300 ms). " +
		"How long one waited on an")
	t.Say("idle bus is the agent's own word, to the first byte out, less the 3.5 characters of silence that the standard wants " +
		"before it.")
	t.Say("The first and the last moment of a stretch count as a poll. Then units go wrong, one at a time; " +
		"each may cost the others a timeout, once.")
	t.Say("One of them has two reads whose answers look alike, and answers when the other one is asked for: " +
		"no value may bear another's name.")
	t.Say("The line hands a request to one unit only, and its two ways are apart: nothing can collide. " +
		"libmodbus speaks no ASCII: that is tried")
	t.Say("against slaves of our own, in the unit tests.")
	slave, err := compile(e)
	if err != nil {
		return err
	}
	if _, err := e.BuildAgent(""); err != nil {
		return err
	}
	for _, part := range []func(*kit.Env, options, string, *kit.Table) error{crowd, roundTrips, overTCP} {
		if err := part(e, o, slave, t); err != nil {
			return err
		}
	}
	return nil
}

// compile makes the slaves.
func compile(e *kit.Env) (string, error) {
	source, out := filepath.Join(e.Dir, "slave.c"), filepath.Join(e.Dir, "slave")
	if err := os.WriteFile(source, slaveSource, 0o600); err != nil {
		return "", fmt.Errorf("slave: %w", err)
	}
	cmd := exec.CommandContext(e.Ctx, "gcc", "-O1", "-Wall", "-I/usr/include/modbus", "-o", out, source, "-lmodbus", "-lpthread")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("compile the slave: %w: %s", err, text)
	}
	return out, nil
}

// slaves starts them and waits until they serve.
func slaves(e *kit.Env, name, bin string, args ...string) error {
	p, err := e.StartProc(name, "", nil, append([]string{bin}, args...)...)
	if err != nil {
		return err
	}
	return e.Until("the slaves", 10*time.Second, func() bool { return strings.Contains(p.Tail(5), "ready") })
}

// rig is a gateway with one bus, a broker and a subscriber.
type rig struct{ *kit.Site }

func newRig(e *kit.Env, id string, bus map[string]any) (*rig, error) {
	site, err := e.Site(kit.SiteOptions{ID: id, Doc: func(d kit.Doc) { d.Set("serial.bus", bus) }})
	if err != nil {
		return nil, err
	}
	return &rig{site}, site.Agent.StartUp()
}

// record is what a unit said.
type record struct {
	TS     int64                      `json:"ts"`
	Values map[string]json.RawMessage `json:"values"`
	Bad    map[string]string          `json:"bad"`
}

func (r *rig) records(unit string) ([]record, error) {
	var all []record
	for _, a := range r.Books.Arrivals(r.Agent.Topic("up/data/" + unit)) {
		var x record
		if err := json.Unmarshal(a.Payload, &x); err != nil {
			return nil, fmt.Errorf("record of %s: %w: %s", unit, err, a.Payload)
		}
		all = append(all, x)
	}
	return all, nil
}
