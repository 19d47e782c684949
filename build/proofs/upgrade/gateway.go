package upgrade

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// id of every gateway here; each has a broker of its own.
const id = "gw-upgrade"

// soon is how long anything may take that takes no time; a machine may be busy.
const soon = 60 * time.Second

// gateway is an agent in its surroundings.
type gateway struct {
	e       *kit.Env
	agent   *kit.Agent
	broker  *kit.Broker
	door    *door          // nil: nothing stands before the broker
	books   *kit.Collector // nil: nobody listens
	ttys    map[string]*kit.Pty
	slaves  map[string]*slave // by the bus that asks it
	ttyFrom string            // what the names of the ports begin with
	learns  bool
}

// ports are the devices on pseudo-terminals, in the order in which they speak.
func ports() []string {
	return []string{"text", "hexa", "base", "bare", "pack", "batched", "packs", "alarm", "plc"}
}

// buses are the devices that are asked: the device, and the unit behind it.
func buses() map[string]string { return map[string]string{"bus": "boiler", "lake": "tank"} }

// newGateway makes all but the agent's own process; the broker runs.
func newGateway(e *kit.Env, name string, learns bool, argv ...string) (*gateway, error) {
	g := &gateway{e: e, learns: learns, ttys: map[string]*kit.Pty{}, slaves: map[string]*slave{},
		ttyFrom: filepath.Join(e.Dir, "tty-"+name+"-")}
	var err error
	if g.broker, err = e.Broker(kit.BrokerOptions{}); err != nil {
		return nil, err
	}
	for _, port := range ports() {
		if g.ttys[port], err = e.Pty(name + "-" + port); err != nil {
			return nil, err
		}
	}
	for bus := range buses() {
		if g.slaves[bus], err = newSlave(e); err != nil {
			return nil, err
		}
	}
	g.agent, err = e.Agent(kit.AgentOptions{Argv: argv, Doc: g.document(nil)})
	return g, err
}

// addr is where the agent finds its broker.
func (g *gateway) addr() string {
	if g.door != nil {
		return g.door.addr
	}
	return g.broker.Host()
}

// document is what the agent is told, with some keys of spool.
func (g *gateway) document(spool map[string]any) kit.Doc {
	line := map[string]any{"type": "line", "max": "1KiB"}
	batch := map[string]any{"frames": 5, "delay": "500ms", "bytes": "512B"}
	serial := map[string]any{}
	for name, more := range map[string]map[string]any{
		"text": {}, "hexa": {"encoding": "hex", "frame": map[string]any{"type": "line", "max": "40KiB"}},
		"base": {"encoding": "base64"}, "bare": {"format": "raw"},
		"pack": {"format": "senml"}, "batched": {"batch": batch, "compress": "gzip"},
		"packs": {"format": "senml", "batch": batch, "compress": "gzip"}, "alarm": {"priority": "high"},
		"plc": {"commands": true, "requests": map[string]any{"timeout": "40s"}},
	} {
		d := map[string]any{"port": g.ttys[name].Port, "baud": 115200, "frame": line}
		for k, v := range more {
			d[k] = v
		}
		serial[name] = d
	}
	patient := map[string]any{"timeout": "1m"} // see slave
	unit := func(address int, writable bool) map[string]any {
		return map[string]any{"address": address, "every": "100ms", "report": "change", "max_silence": "0s",
			"registers": map[string]any{
				"flow":     map[string]any{"kind": "input", "address": flow, "unit": "m3/h", "scale": 0.5},
				"setpoint": map[string]any{"address": setpoint, "scale": 0.1, "writable": writable}}}
	}
	serial["bus"] = map[string]any{"port": "tcp://" + g.slaves["bus"].addr, "commands": true, "modbus": patient,
		"units": map[string]any{"boiler": unit(1, true)}}
	serial["lake"] = map[string]any{"port": "tcp://" + g.slaves["lake"].addr, "format": "senml", "priority": "high",
		"modbus": patient, "units": map[string]any{"tank": unit(2, false)}}
	s := map[string]any{"max_bytes": "512KiB", "max_age": "36500d"}
	for k, v := range spool {
		s[k] = v
	}
	d := kit.NewDoc(id, "mqtt://"+g.addr()).Set("serial", serial).Set("spool", s).Set("uplink.max_payload", "1KiB").
		Set("uplink.replay_rate", "10MiB/s")
	if g.learns {
		d.Set("heartbeat", map[string]any{"learn": "fast", "min": "1s", "max": "2s", "probe_after": "0s", "canary": "off",
			"probe_budget": map[string]any{"month": "4MiB", "burst": "1MiB"}})
	}
	return d
}

// counters are those of one spool in /status.
type counters struct {
	Accepted, Recovered, Acked, Waiting, Evicted, Poison int64
}

// status is of /status what does not depend on time.
type status struct {
	Config string `json:"config"`
	Why    string `json:"why"`
	Uplink struct {
		State string `json:"state"`
		Drops int64  `json:"drops"`
	} `json:"uplink"`
	Heartbeat struct {
		Phase       string  `json:"phase"`
		RememberedS float64 `json:"remembered_s"`
	} `json:"heartbeat"`
	Spool   counters `json:"spool"`
	High    counters `json:"high"`
	Replies counters `json:"replies"`
	Serial  map[string]struct {
		State    string `json:"state"`
		Accepted int64  `json:"accepted"`
		Units    map[string]struct {
			State string `json:"state"`
		} `json:"units"`
	} `json:"serial"`
	Commands   map[string]int64 `json:"commands"`
	Quarantine map[string]int64 `json:"quarantine"`
}

// waiting is how many records no broker has acknowledged yet.
func (s status) waiting() int64 { return s.Spool.Waiting + s.High.Waiting + s.Replies.Waiting }

func (g *gateway) status() (s status, err error) {
	err = g.agent.StatusInto(&s)
	return s, err
}

// until waits for a state that /status tells.
func (g *gateway) until(what string, is func(s status) bool) error {
	var last status
	err := g.e.Until(what, soon, func() bool {
		s, err := g.status()
		if err == nil {
			last = s
		}
		return err == nil && is(s)
	})
	if err != nil {
		return fmt.Errorf("%w; the last status was %+v", err, last)
	}
	return nil
}

// start runs the agent and waits until its ports are open. What a bus polls first is in its spool then, and nothing else is.
func (g *gateway) start(polled bool) error {
	if err := g.agent.Start(); err != nil {
		return err
	}
	if err := g.until("the page", func(s status) bool { return s.Config != "" }); err != nil {
		return err
	}
	if s, err := g.status(); err != nil || s.Config != "file" || strings.Contains(s.Why, "config_error") {
		return fmt.Errorf("document not taken: %s: %s, %w", s.Config, s.Why, err)
	}
	return g.until("the devices to be open", func(s status) bool {
		for _, name := range ports() {
			if s.Serial[name].State != "open" {
				return false
			}
		}
		for bus, unit := range buses() {
			if polled && s.Serial[bus].Units[unit].State != "live" {
				return false
			}
		}
		return !polled || s.Spool.Accepted > 0 && s.High.Accepted > 0
	})
}

// play sends lines as a device, and waits until they are accepted.
func (g *gateway) play(name string, lines ...string) error {
	before, err := g.status()
	if err != nil {
		return err
	}
	if _, err := g.ttys[name].Write([]byte(strings.Join(lines, "\n") + "\n")); err != nil {
		return err
	}
	return g.until(fmt.Sprintf("%d lines of %s to be accepted", len(lines), name), func(s status) bool {
		return s.Serial[name].Accepted == before.Serial[name].Accepted+int64(len(lines))
	})
}

// round lets every device but some speak once, one after the other; what they say holds label.
func (g *gateway) round(label string, silent ...string) error {
	for _, name := range ports() {
		if slices.Contains(silent, name) {
			continue
		}
		if err := g.play(name, fmt.Sprintf("%s of %s, µ and \x01", label, name)); err != nil {
			return err
		}
	}
	return nil
}

// turn changes the flow at both units; what they are asked next is another record in each of two spools.
func (g *gateway) turn(value uint16) error {
	before, err := g.status()
	if err != nil {
		return err
	}
	for _, slave := range g.slaves {
		slave.set(flow, value)
	}
	g.answer()
	return g.until("both units to be read", func(s status) bool {
		return s.Spool.Accepted > before.Spool.Accepted && s.High.Accepted > before.High.Accepted
	})
}

// listen subscribes to all that the gateway publishes.
func (g *gateway) listen() (err error) {
	g.books, err = g.e.Collect(kit.CollectOptions{URL: g.broker.URL(), ID: "books", Filters: []string{"lb/" + id + "/up/#"}})
	return err
}

// fence waits until all has come that the broker took before.
func (g *gateway) fence() error {
	topic := fmt.Sprint("lb/", id, "/up/fence/", time.Now().UnixNano())
	if err := g.books.Publish(g.e.Ctx, topic, false, "fence"); err != nil {
		return err
	}
	return g.e.Until("the fence", soon, func() bool { return len(g.books.Arrivals(topic)) > 0 })
}

// replies are the payloads that came for a command.
func (g *gateway) replies(name, command string) (got []string) {
	for _, a := range g.books.Arrivals(g.agent.Topic("up/reply/" + name)) {
		var r struct{ ID string }
		if json.Unmarshal(a.Payload, &r) == nil && r.ID == command {
			got = append(got, string(a.Payload))
		}
	}
	return got
}

// command is one that is sent down in the stories.
type command struct{ device, kind, id, body string }

func (c command) payload() string {
	expires := time.Now().Add(expiry).UnixMilli()
	return fmt.Sprintf(`{"id":%q,"expires":%d,%s}`, c.id, expires, c.body)
}

// expiry is nearly as far ahead as a command's may be, so that what is recorded stays in the journal.
const expiry = 23 * time.Hour

// send publishes a command.
func (g *gateway) send(c command) error {
	return g.books.Publish(g.e.Ctx, g.agent.Topic("dn/cmd/"+c.device+"/"+c.kind), false, c.payload())
}

// answered waits for one more reply than there were.
func (g *gateway) answered(c command, before int) error {
	return g.e.Until("the reply to "+c.id, soon, func() bool { return len(g.replies(c.device, c.id)) > before })
}

// got waits until a device was written that text last.
func (g *gateway) got(name, text string) error {
	err := g.e.Until(fmt.Sprintf("%s to get %q", name, text), soon,
		func() bool { return strings.HasSuffix(string(g.ttys[name].Received()), text) })
	if err != nil {
		return fmt.Errorf("%w: it got %q", err, g.ttys[name].Received())
	}
	return nil
}

// answer lets the units answer.
func (g *gateway) answer() {
	for _, slave := range g.slaves {
		slave.answer()
	}
}

// kill ends the agent with SIGKILL; the ports are free then.
func (g *gateway) kill() {
	g.agent.Kill()
	for _, tty := range g.ttys {
		tty.Free()
	}
}
