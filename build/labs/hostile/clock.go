package hostile

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// skewed is the variable that moves the wall clock of the agent, in seconds: the real program, but compiled with a standard
// library whose time.Now adds it. The kernel has no namespace for CLOCK_REALTIME, and moving the machine's clock is no
// neighbour's way.
const skewed = "LINKBEAT_LAB_SKEW"

// Texts of package time that the skew is put into.
const (
	nowBefore = "	sec, nsec, mono := runtimeNow()\n	if mono == 0 {"
	nowAfter  = "	sec, nsec, mono := runtimeNow()\n	sec += skew\n	if mono == 0 {"
	skewDecl  = `

// skew moves every wall clock that this program reads.
var skew = func() (n int64) {
	s, _ := syscall.Getenv("` + skewed + `")
	minus := len(s) > 0 && s[0] == '-'
	for i := 0; i < len(s); i++ {
		if s[i] >= '0' && s[i] <= '9' {
			n = n*10 + int64(s[i]-'0')
		}
	}
	if minus {
		return -n
	}
	return n
}()
`
)

// skewedAgent compiles it.
func (l lab) skewedAgent() (string, error) {
	goroot, err := exec.CommandContext(l.Ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	src := filepath.Join(strings.TrimSpace(string(goroot)), "src", "time", "time.go")
	b, err := os.ReadFile(src)
	if err != nil {
		return "", err
	}
	if strings.Count(string(b), nowBefore) != 1 {
		return "", fmt.Errorf("%s has no time.Now as this laboratory knows it", src)
	}
	dir, err := l.Sub("skew")
	if err != nil {
		return "", err
	}
	changed := strings.Replace(string(b), nowBefore, nowAfter, 1) + skewDecl
	changed = strings.Replace(changed, "import (\n", "import (\n\t\"syscall\"\n", 1)
	if err := os.WriteFile(filepath.Join(dir, "time.go"), []byte(changed), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{src: filepath.Join(dir, "time.go")}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600); err != nil {
		return "", err
	}
	root, err := kit.Root()
	if err != nil {
		return "", err
	}
	out := filepath.Join(l.Dir, "linkbeat-skewed")
	cmd := exec.CommandContext(l.Ctx, "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", out, "./cmd/linkbeat")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("an agent with a clock of its own: %w: %s", err, msg)
	}
	return out, nil
}

const clockCommands = 100

// clockBack gives a hundred commands, moves the clock back over a restart, and gives the same again: at once, or after a life
// whose clock was so far ahead that the journal has forgotten them.
func (l lab) clockBack() error {
	agent, err := l.skewedAgent()
	if err != nil {
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
	c.Site.Agent.Use("env", fmt.Sprintf("%s=%d", skewed, int64(skew.Seconds())), c.agent)
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
