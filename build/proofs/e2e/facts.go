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

// Facts has an agent run commands of its own file: what they print reaches the fleet, what happens to the link reaches them.
func Facts(e *kit.Env, t *kit.Table) error {
	dir, err := e.Sub("hooks")
	if err != nil {
		return err
	}
	told := filepath.Join(dir, "told")
	led := []string{"sh", "-c", `echo "$LINKBEAT_EVENT $LINKBEAT_SERVER" >>` + told}
	r, err := newRig(e, rigOptions{id: "gw-facts", scheme: "mqtt", more: func(d kit.Doc) {
		d.Set("device.facts.modem", map[string]any{"command": []string{"echo", "EC25"}}).
			Set("hooks", map[string]any{"up": led, "down": led})
	}})
	if err != nil {
		return err
	}
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	up, down := "up "+r.broker.URL()+"\n", "down "+r.broker.URL()+"\n"
	t.Check("device.facts: in up/info and in /status", r.factIs("modem", "EC25"))
	t.Check("hooks: up", r.hooksSay(told, up))
	t.Check("hooks: lost, and back", func() error {
		if err := r.broker.Stop(); err != nil {
			return err
		}
		if err := r.hooksSay(told, up+down); err != nil {
			return err
		}
		if err := r.broker.Start(); err != nil {
			return err
		}
		return r.hooksSay(told, up+down+up)
	}())
	t.Check("SIGHUP with another fact: the connection stays", r.reloadFact(led))
	t.Check("hooks: stopped", func() error {
		if err := r.agent.Term(); err != nil {
			return err
		}
		return r.hooksSay(told, up+down+up+down)
	}())
	return nil
}

// factIs waits for a fact in the status, and where the fleet sees it.
func (r *rig) factIs(name, want string) error {
	topic := r.agent.Topic("up/info")
	return r.e.Until("fact "+name+" to be "+want, 10*time.Second, func() bool {
		s, err := r.agent.Status()
		all := r.sub.Arrivals(topic)
		if err != nil || s.Facts[name] != want || len(all) == 0 {
			return false
		}
		var info struct {
			Facts map[string]string `json:"facts"`
		}
		return json.Unmarshal(all[len(all)-1].Payload, &info) == nil && info.Facts[name] == want
	})
}

// hooksSay waits until the file that the hooks write to holds this and nothing else.
func (r *rig) hooksSay(file, want string) error {
	got := ""
	err := r.e.Until("the hooks", 10*time.Second, func() bool {
		b, err := os.ReadFile(file)
		got = string(b)
		return err == nil && got == want
	})
	if err != nil {
		return fmt.Errorf("%w: %q, want %q", err, got, want)
	}
	return nil
}

func (r *rig) reloadFact(led []string) error {
	before := r.broker.Connects("gw-facts")
	doc := kit.NewDoc("gw-facts", r.broker.URL()).Set("device.facts.sim", map[string]any{"command": []string{"printf", "8944"}}).
		Set("hooks", map[string]any{"up": led, "down": led})
	if err := r.agent.Configure(doc); err != nil {
		return err
	}
	if err := r.agent.Reload(); err != nil {
		return err
	}
	var facts string
	err := r.e.Until("the other fact alone", 10*time.Second, func() bool {
		s, err := r.agent.Status()
		facts = fmt.Sprint(s)
		return err == nil && len(s.Facts) == 1 && s.Facts["sim"] == "8944"
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, facts)
	}
	if n := r.broker.Connects("gw-facts"); n != before || strings.Contains(r.agent.Proc().Tail(50), "hook") {
		return fmt.Errorf("%d connections, %d before\n%s", n, before, r.agent.Proc().Tail(50))
	}
	return nil
}
