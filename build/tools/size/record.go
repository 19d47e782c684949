package size

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Record is what the sections of the ARMv6 agent weighed before a step began, and what the step may add. It is written down, so
// that a clone without history judges as one with it.
type Record struct {
	Commit string `json:"commit"` // whose sources were weighed
	Go     string `json:"go"`     // that compiled them: of another one the figures are not comparable
	Bytes  int64  `json:"sections_linux_armv6_bytes"`
	More   int64  `json:"may_add_bytes"`
}

// Wired is a Record with what the agent said on the wire, as lab-delivered counts it.
type Wired struct {
	Record
	Reconnect int64 `json:"reconnect_bytes"` // of a session that follows another one at the same server
	Failover  int64 `json:"failover_bytes"`  // at another server, which was met before
}

// sound says what is missing in it, by its name.
func (r Record) sound(name string) error {
	if len(r.Commit) < 40 || r.Go == "" || r.Bytes <= 0 || r.More <= 0 {
		return fmt.Errorf("budgets: %s in build/budgets.json is not whole: %+v", name, r)
	}
	return nil
}

func (w Wired) sound(name string) error {
	if w.Reconnect <= 0 || w.Failover <= 0 {
		return fmt.Errorf("budgets: %s in build/budgets.json is not whole: %+v", name, w)
	}
	return w.Record.sound(name)
}

// Judge weighs the tree against the record. Where the clone has the recorded commit, again shows that it weighs what is written;
// it costs a build of it.
func (r Record) Judge(e *kit.Env, t *kit.Table, again bool) error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	short := r.Commit[:min(len(r.Commit), 7)]
	t.Check("sections: the Go that weighed "+short+" is today's", r.comparable(e, root))
	now, err := Weigh(e, root)
	if err != nil {
		return err
	}
	t.AtMost("sections of the ARMv6 agent, more than in "+short, float64(now.Sum()-r.Bytes)/1000, float64(r.More)/1000, "kB")
	if !again {
		return nil
	}
	was, err := r.weighAgain(e, root)
	if errors.Is(err, kit.ErrNoHistory) {
		t.Say("Size: %s is not in this clone. What it weighed is taken from build/budgets.json, and was not weighed again.",
			short)
		return nil
	}
	if err != nil {
		return err
	}
	t.Exactly("sections of "+short+", weighed again", int(was.Sum()), int(r.Bytes), "bytes", "")
	var most []string
	for _, g := range now.Groups() {
		if d := now[g] - was[g]; d > 1000 {
			most = append(most, fmt.Sprintf("%s %.1f kB", g, float64(d)/1000))
		}
	}
	t.Say("What has grown by more than 1 kB since %s: %s.", short, strings.Join(most, ", "))
	return nil
}

// comparable says what to do where the toolchain is not the recorded one.
func (r Record) comparable(e *kit.Env, root string) error {
	cmd := exec.CommandContext(e.Ctx, "go", "env", "GOVERSION")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	if is := strings.TrimSpace(string(out)); is != r.Go {
		return fmt.Errorf("%s compiles here, and %s compiled what build/budgets.json has: weigh %s with %s, and write down both",
			is, r.Go, r.Commit, is)
	}
	return nil
}

// weighAgain weighs the recorded commit; kit.ErrNoHistory: it is not in this clone.
func (r Record) weighAgain(e *kit.Env, root string) (Sections, error) {
	if exec.CommandContext(e.Ctx, "git", "-C", root, "cat-file", "-e", r.Commit+"^{commit}").Run() != nil {
		return nil, kit.ErrNoHistory
	}
	tree, err := e.Sub("before-step")
	if err != nil {
		return nil, err
	}
	if err := kit.Unpack(e.Ctx, root, r.Commit, tree); err != nil {
		return nil, err
	}
	return Weigh(e, tree)
}
