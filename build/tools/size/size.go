// Package size weighs linkbeat against build/budgets.json: the stripped ARMv6 binary, as it lies on the flash and as it is
// downloaded, and the resident memory of the agent on this machine, idle and relaying. Segments of the binary are aligned to 64
// KiB, so its size jumps: what a change costs is told by its sections, set beside those of the commit before.
package size

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Budgets is the content of build/budgets.json, in bytes.
type Budgets struct {
	Binary   int64 `json:"binary_linux_armv6_bytes"`
	Packed   int64 `json:"binary_linux_armv6_xz_bytes"` // by xz -9e
	Idle     int64 `json:"rss_amd64_idle_bytes"`
	Relaying int64 `json:"rss_amd64_relaying_bytes"`

	BeforeStep7 Record `json:"before_step_7"`
	BeforeStep8 Wired  `json:"before_step_8"`
}

// How long the agent is watched; the largest sample counts.
const (
	watchIdle     = 8 * time.Second
	watchRelaying = 20 * time.Second
	sample        = 200 * time.Millisecond
	rate          = 200 // frames a second
	mib           = 1 << 20
)

// ReadBudgets reads the file; a missing budget is an error, never "no limit".
func ReadBudgets() (Budgets, error) {
	var b Budgets
	root, err := kit.Root()
	if err != nil {
		return b, err
	}
	src, err := os.ReadFile(filepath.Join(root, "build", "budgets.json"))
	if err == nil {
		err = json.Unmarshal(src, &b)
	}
	if err != nil {
		return b, fmt.Errorf("budgets: %w", err)
	}
	if b.Binary <= 0 || b.Packed <= 0 || b.Idle <= 0 || b.Relaying <= 0 {
		return b, fmt.Errorf("budgets: one is missing in build/budgets.json: %+v", b)
	}
	return b, errors.Join(b.BeforeStep7.sound("before_step_7"), b.BeforeStep8.sound("before_step_8"))
}

// Run builds, weighs and watches.
func Run(e *kit.Env, t *kit.Table) error {
	b, err := ReadBudgets()
	if err != nil {
		return err
	}
	if err := Binary(e, b, t); err != nil {
		return err
	}
	if err := sections(e, t); err != nil {
		return err
	}
	return memory(e, b, t)
}

// sections weighs what is loaded of the ARMv6 binary, and of that of the commit before, built by the same flags.
func sections(e *kit.Env, t *kit.Table) error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	now, err := Weigh(e, root)
	if err != nil {
		return err
	}
	t.Info("sections", inKiB(now.Sum()), "KiB")
	commit, err := kit.Before(root)
	if errors.Is(err, kit.ErrNoHistory) {
		t.Say("Sections are what is loaded from the file. There is nothing to compare them with: %v.", err)
		for _, group := range now.Groups() {
			t.Info("sections: "+group, inKiB(now[group]), "KiB")
		}
		return nil
	}
	if err != nil {
		return err
	}
	tree, err := e.Sub("before")
	if err != nil {
		return err
	}
	if err := kit.Unpack(e.Ctx, root, commit, tree); err != nil {
		return err
	}
	was, err := Weigh(e, tree)
	if err != nil {
		return err
	}
	t.Say("Sections are what is loaded from the file, by the packages that own the symbols there; more or less than in %.12s, "+
		"which was", commit)
	t.Say("built by the same flags.")
	t.Info("sections: change", inKiB(now.Sum()-was.Sum()), "KiB")
	for _, group := range now.Groups() {
		t.Info("sections: "+group, inKiB(now[group]), "KiB")
		if d := now[group] - was[group]; d != 0 {
			t.Info("sections: "+group+": change", inKiB(d), "KiB")
		}
	}
	for _, group := range was.Groups() {
		if _, ok := now[group]; !ok {
			t.Info("sections: "+group+": change", inKiB(-was[group]), "KiB")
		}
	}
	return nil
}

// Weigh builds linkbeat of a tree for ARMv6, with its symbols, and reads its sections.
func Weigh(e *kit.Env, root string) (Sections, error) {
	dir, err := e.Sub("sections")
	if err != nil {
		return nil, err
	}
	arm, err := kit.FindTarget("linux-armv6")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "linkbeat")
	if err := (kit.Tree{Root: root, Symbols: true}).Build(e.Ctx, "cmd/linkbeat", path, arm.Env...); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("weigh: %w", err)
	}
	defer f.Close()
	return ReadSections(f)
}

// Binary weighs the ARMv6 binary only, as it is and packed.
func Binary(e *kit.Env, b Budgets, t *kit.Table) error {
	path, err := e.BuildAgent("linux-armv6")
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("weigh: %w", err)
	}
	t.AtMost("linkbeat, linux/arm v6, stripped", inMiB(info.Size()), inMiB(b.Binary), "MiB")
	t.Check("linkbeat, linux/arm v6: segments fit pages of 64 KiB", Aligned(path))
	packed, err := packedSize(e.Ctx, path)
	if err != nil {
		return err
	}
	t.AtMost("linkbeat, linux/arm v6, stripped, xz -9e", inMiB(packed), inMiB(b.Packed), "MiB")
	return nil
}

// packedSize is what a download of the file costs.
func packedSize(ctx context.Context, path string) (int64, error) {
	out, err := exec.CommandContext(ctx, "xz", "-9e", "-T1", "-c", path).Output()
	if err != nil {
		return 0, fmt.Errorf("xz: %w", err)
	}
	return int64(len(out)), nil
}

func memory(e *kit.Env, b Budgets, t *kit.Table) error {
	broker, err := e.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	tty, err := e.Pty("size")
	if err != nil {
		return err
	}
	a, err := e.Agent(kit.AgentOptions{Doc: kit.NewDoc("gw-size", broker.URL()).Line("meter", tty.Port)})
	if err != nil {
		return err
	}
	if err := a.StartUp(); err != nil {
		return err
	}
	idle, err := watch(e, a, watchIdle)
	if err != nil {
		return err
	}
	t.AtMost("VmRSS idle", inMiB(idle), inMiB(b.Idle), "MiB")
	ctx, stop := context.WithCancel(e.Ctx)
	defer stop()
	go func() { _ = (&kit.Numbered{Rate: rate, Size: 100}).Run(ctx, tty, 0) }() // ends with ctx or the pty
	relaying, err := watch(e, a, watchRelaying)
	if err != nil {
		return err
	}
	t.AtMost("VmRSS relaying 200 frames/s", inMiB(relaying), inMiB(b.Relaying), "MiB")
	s, err := a.Status()
	if err != nil {
		return err
	}
	t.AtLeast("frames acknowledged meanwhile", float64(s.Spool.Acked), rate*watchRelaying.Seconds()*0.9, "frames")
	return a.Term()
}

// watch returns the largest VmRSS seen.
func watch(e *kit.Env, a *kit.Agent, lasts time.Duration) (int64, error) {
	most := int64(0)
	for end := time.Now().Add(lasts); time.Now().Before(end) && e.Ctx.Err() == nil; e.Sleep(sample) {
		n, err := a.RSS()
		if err != nil {
			return 0, err
		}
		most = max(most, n)
	}
	return most, e.Ctx.Err()
}

func inMiB(n int64) float64 { return float64(n) / mib }

func inKiB(n int64) float64 { return float64(n) / 1024 }
