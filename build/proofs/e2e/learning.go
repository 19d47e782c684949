package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

const (
	learnMin = time.Second
	learnMax = 4 * time.Second
)

// Learning lets an agent learn its path up to the longest beat that it may use, and looks at what it kept of that: over a
// reload, over a restart, and over a restart with the file torn. That is four times as much as the budget is for.
func Learning(e *kit.Env, t *kit.Table) error {
	r, err := newRig(e, rigOptions{id: "gw-learn", scheme: "mqtts", more: func(d kit.Doc) {
		d.Set("heartbeat", map[string]any{"learn": "fast",
			"min": learnMin.String(), "max": learnMax.String(), "probe_after": "0s",
			"canary": "off", "probe_budget": map[string]any{"month": "4MiB", "burst": "1MiB"}}).Set("uplink.path_hint.command",
			[]string{"echo", "sim-8944"})
	}})
	if err != nil {
		return err
	}
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	t.Check("learns up to heartbeat.max", r.settles(0))
	t.Check("SIGHUP with another document: what was proven is a hint", r.reloadRemembers())
	t.Check("restarted: what was proven is a hint", r.restartRemembers())
	t.Check("a torn file is set aside and said, and learning starts again", r.tornMemory())
	return nil
}

// settles waits until all is proven that may be used; remembered is what must have been known before, in seconds.
func (r *rig) settles(remembered float64) error {
	var last *kit.Status
	err := r.e.Until("the heartbeat to settle", time.Minute, func() bool {
		s, err := r.agent.Status()
		if err == nil {
			last = s
		}
		return err == nil && s.Heartbeat.Phase == "settled" && s.Uplink.State == "up"
	})
	if err != nil {
		return fmt.Errorf("%w: %+v", err, last)
	}
	h := last.Heartbeat
	switch {
	case h.IntervalS < 0.97*learnMax.Seconds() || h.IntervalS > learnMax.Seconds() || h.ProvenS <= h.IntervalS || h.FailingS != 0:
		return fmt.Errorf("interval %v, proven %v, failing %v; want %v of interval", h.IntervalS, h.ProvenS, h.FailingS, learnMax)
	case h.Evidence != "inbound" || h.Probes == 0 || h.Sessions == 0 || h.CostBytes == 0 || last.Uplink.Drops != 0:
		return fmt.Errorf("evidence %+v, %d drops", h, last.Uplink.Drops)
	case !strings.HasPrefix(h.Path, "lo ") || !strings.HasSuffix(h.Path, "hint sim-8944 "+r.broker.SchemeURL("mqtts")):
		return fmt.Errorf("path %q", h.Path)
	case h.RememberedS < remembered:
		return fmt.Errorf("remembered %v, want %v", h.RememberedS, remembered)
	}
	return nil
}

// memory is the file that the agent keeps.
func (r *rig) memory() string { return filepath.Join(r.agent.Dir, "state", "paths.json") }

func (r *rig) reloadRemembers() error {
	doc, err := os.ReadFile(r.agent.ConfigPath)
	if err != nil {
		return err
	}
	if err := r.agent.ConfigureRaw(append(doc, "stats: {every: 5m}\n"...)); err != nil {
		return err
	}
	if err := r.agent.Reload(); err != nil {
		return err
	}
	err = r.e.Until("the generation that remembers", 20*time.Second, func() bool {
		s, err := r.agent.Status()
		return err == nil && s.Heartbeat.RememberedS > 0 && s.Heartbeat.Phase != "settled"
	})
	if err != nil {
		return err
	}
	return r.settles(learnMax.Seconds())
}

func (r *rig) restartRemembers() error {
	if err := r.agent.Term(); err != nil {
		return err
	}
	if b, err := os.ReadFile(r.memory()); err != nil || !strings.Contains(string(b), "sim-8944") {
		return fmt.Errorf("kept: %s, %w", b, err)
	}
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	return r.settles(learnMax.Seconds())
}

func (r *rig) tornMemory() error {
	if err := r.agent.Term(); err != nil {
		return err
	}
	if err := os.Truncate(r.memory(), 20); err != nil {
		return err
	}
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	if err := r.whySays("learning starts again"); err != nil {
		return err
	}
	if _, err := os.Stat(r.memory() + ".corrupt"); err != nil {
		return err
	}
	return r.settles(0)
}

// Probe measures the path to the broker with the program's own command, as nobody and as a gateway.
func Probe(e *kit.Env, t *kit.Table) error {
	broker, err := e.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	bin, err := e.BuildAgent("")
	if err != nil {
		return err
	}
	agent, err := e.Agent(kit.AgentOptions{Argv: []string{bin}, Doc: kit.NewDoc("gw-probe", broker.URL())})
	if err != nil {
		return err
	}
	short := []string{"--min", "1s", "--max", "3s", "--json"}
	t.Check("linkbeat probe URL", probes(e, "probe-url", append([]string{bin, "probe", broker.URL()}, short...)))
	t.Check("linkbeat probe -c FILE --thrifty",
		probes(e, "probe-file", append([]string{bin, "probe", "-c", agent.ConfigPath, "--thrifty"}, short...)))
	if broker.Connects("gw-probe-probe") == 0 || broker.Connects("gw-probe-probe-p1") == 0 {
		t.Check("under the gateway's id", fmt.Errorf("the broker saw other client ids"))
	}
	return nil
}

// probes runs a measurement to its end, and looks at what it prints.
func probes(e *kit.Env, name string, argv []string) error {
	p, err := e.StartProc(name, "", nil, argv...)
	if err != nil {
		return err
	}
	code, err := p.Exit(time.Minute)
	if err != nil || code != 0 {
		return fmt.Errorf("exit code %d, %w\n%s", code, err, p.Tail(20))
	}
	var result struct {
		Settled   bool    `json:"settled"`
		ProvenS   float64 `json:"proven_s"`
		IntervalS float64 `json:"interval_s"`
		CostBytes int64   `json:"cost_bytes"`
	}
	if err := json.Unmarshal([]byte(p.Tail(1)), &result); err != nil {
		return fmt.Errorf("%w: %s", err, p.Tail(20))
	}
	if !result.Settled || result.ProvenS < 3 || result.IntervalS < 2.9 || result.IntervalS > 3 || result.CostBytes == 0 {
		return fmt.Errorf("%+v", result)
	}
	return nil
}
