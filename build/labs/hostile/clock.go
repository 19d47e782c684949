package hostile

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

const clockCommands = 100

// clockBack gives a hundred commands, moves the clock back over a restart, and gives the same again: at once, or after a life
// whose clock was so far ahead that the journal has forgotten them.
func (l lab) clockBack() error {
	agent := filepath.Join(l.Dir, "linkbeat-skewed")
	if err := kit.BuildSkewed(l.Ctx, agent); err != nil {
		return err
	}
	var jobs []func() error
	for name, back := range map[string]time.Duration{"1 h": time.Hour, "26 h": 26 * time.Hour,
		"10 years": 10 * 365 * 24 * time.Hour} {
		for _, between := range []time.Duration{0, 20 * time.Minute, 25 * time.Hour} {
			jobs = append(jobs, func() error { return l.back(agent, name, back, between) })
		}
	}
	return kit.SideBySide(2, jobs)
}

// clockSite is a gateway whose clock can be moved, and what its meter was told.
type clockSite struct {
	*kit.Site
	lab   lab
	agent string
}

// live starts a life of the agent whose clock is moved, gives n commands, and returns when all of them were dealt with.
func (c clockSite) live(skew time.Duration, text string, n int, expires time.Time) error {
	c.Site.Agent.Use("env", fmt.Sprintf("%s=%d", kit.Skewed, int64(skew.Seconds())), c.agent)
	if err := c.Site.Agent.StartUp(); err != nil {
		return err
	}
	for i := range n {
		p := fmt.Sprintf(`{"id":"%s%d","expires":%d,"text":"%s"}`, text, i, expires.UnixMilli(), text+doName(i))
		if err := c.Books.Publish(c.lab.Ctx, c.Site.Agent.Topic("dn/cmd/meter/write"), false, p); err != nil {
			return err
		}
		if i%20 == 19 {
			c.lab.Sleep(100 * time.Millisecond)
		}
	}
	var s struct {
		Commands struct {
			Received int `json:"received"`
			Running  int `json:"running"`
		} `json:"commands"`
	}
	if err := c.lab.Until("the commands to be dealt with", 10*time.Second, func() bool {
		return c.Site.Agent.StatusInto(&s) == nil && s.Commands.Received >= n && s.Commands.Running == 0
	}); err != nil {
		return err
	}
	c.lab.Sleep(200 * time.Millisecond) // the last bytes through the pty
	return c.Site.Agent.Term()
}

func (l lab) back(agent, name string, back, between time.Duration) error {
	id := fmt.Sprintf("gw-clock-%d-%d", int(back.Hours()), int(between.Minutes()))
	s, err := l.Site(kit.SiteOptions{ID: id, Devices: []string{"meter"}, Argv: []string{agent}, Doc: func(d kit.Doc) {
		meter := d["serial"].(map[string]any)["meter"].(map[string]any)
		meter["commands"] = true
		meter["requests"] = map[string]any{"per_minute": 6000}
	}})
	if err != nil {
		return err
	}
	c := clockSite{Site: s, lab: l, agent: agent}
	now := time.Now()
	expires := now.Add(2 * time.Minute)
	carriedOut := func() int { return strings.Count(string(s.Ttys["meter"].Received()), "xdo-") }
	name = "clock back " + name + ", the same commands again at once"
	if err := c.live(0, "x", clockCommands, expires); err != nil {
		return err
	}
	first := carriedOut()
	if between > 0 {
		name = strings.Replace(name, "at once", fmt.Sprintf("after a life %v ahead", between), 1)
		if err := c.live(between, "between", 3, now.Add(between+time.Minute)); err != nil {
			return err
		}
	}
	if err := c.live(between-back, "x", clockCommands, expires); err != nil {
		return err
	}
	l.t.Exactly(name+": carried out the first time", first, clockCommands, "", "")
	l.t.Exactly(name+": carried out twice", carriedOut()-first, 0, "", "")
	return nil
}
