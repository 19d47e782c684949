package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/bench/relay"
	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
	"github.com/linkbeat/linkbeat/build/labs"
	"github.com/linkbeat/linkbeat/build/proofs/crash"
	"github.com/linkbeat/linkbeat/build/proofs/e2e"
	"github.com/linkbeat/linkbeat/build/proofs/outage"
	"github.com/linkbeat/linkbeat/build/proofs/upgrade"
	"github.com/linkbeat/linkbeat/build/tools/audit"
	"github.com/linkbeat/linkbeat/build/tools/size"
)

// target is one thing this program can show.
type target struct {
	name  string
	limit time.Duration // after which it is taken down
	needs []string
	quiet bool // goes before other processes
	run   func(e *kit.Env, t *kit.Table) error
}

func targets() []target {
	all := others()
	for _, l := range labs.All() {
		all = append(all, target{name: l.Target(), limit: l.Limit, needs: l.Needs, quiet: l.Quiet, run: l.Full})
	}
	return all
}

// others are the targets that are no laboratory.
func others() []target {
	return []target{
		{name: "build", limit: 10 * time.Minute, run: buildHere},
		{name: "cross", limit: 20 * time.Minute, run: cross},
		{name: "man", limit: 5 * time.Minute, run: manPages},
		{name: "demo", limit: 5 * time.Minute, run: demos},
		{name: "e2e", limit: 10 * time.Minute, needs: []string{"mosquitto", "qemu-arm-static"}, run: e2e.All},
		{name: "crash", limit: 20 * time.Minute, needs: []string{"mosquitto"}, run: crashes},
		{name: "outage", limit: 15 * time.Minute, needs: append(netlab.Tools(), "mosquitto"),
			run: func(e *kit.Env, t *kit.Table) error { return outage.Run(e, outage.Full(), t) }},
		{name: "upgrade", limit: 10 * time.Minute, needs: []string{"mosquitto"}, run: func(e *kit.Env, t *kit.Table) error {
			return upgrade.Run(e, upgrade.Options{Again: true}, t)
		}},
		{name: "audit", limit: 10 * time.Minute, run: audit.Run},
		{name: "size", limit: 15 * time.Minute, needs: []string{"mosquitto", "xz"}, run: size.Run},
		{name: "bench-relay", limit: 15 * time.Minute, needs: []string{"mosquitto"}, run: benchRelay},
		{name: "bench-heartbeat", limit: 15 * time.Minute, run: benchHeartbeat},
	}
}

// benchRelay measures beside the commit before, where there is one.
func benchRelay(e *kit.Env, t *kit.Table) error {
	o := relay.Options{Rounds: 5, Frames: 40_000, Paced: 1000}
	root, err := kit.Root()
	if err != nil {
		return err
	}
	commit, err := kit.Before(root)
	if errors.Is(err, kit.ErrNoHistory) {
		t.Say("There is no commit to compare with: %v.", err)
		return relay.Run(e, o, t)
	}
	if err != nil {
		return err
	}
	dir, err := e.Sub("before")
	if err != nil {
		return err
	}
	if err := kit.Unpack(e.Ctx, root, commit, dir); err != nil {
		return err
	}
	o.Before = []string{filepath.Join(dir, "linkbeat-before")}
	if err := (kit.Tree{Root: dir}).Build(e.Ctx, "cmd/linkbeat", o.Before[0]); err != nil {
		return err
	}
	t.Say("The commit before is %.12s, built by the same flags and measured in the same rounds.", commit)
	return relay.Run(e, o, t)
}

// benchHeartbeat runs the bench as a test, which its bubbles of fake time need, and takes over its table.
func benchHeartbeat(e *kit.Env, t *kit.Table) error {
	dir, err := e.Sub("bench-heartbeat")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(e.Ctx, "go", "test", "-count=1", "-timeout", "15m", "-run", "^TestTable$",
		"./build/bench/heartbeat")
	cmd.Env = append(os.Environ(), "BENCH_HEARTBEAT="+dir)
	if cmd.Dir, err = kit.Root(); err != nil {
		return err
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("bench: %w: %s", err, out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "bench-heartbeat.json"))
	if err == nil {
		err = json.Unmarshal(b, t)
	}
	if err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// programs are what is shipped.
func programs() []string { return []string{"linkbeat", "linkbeatctl"} }

// buildHere makes dist/linkbeat and dist/linkbeatctl for this machine.
func buildHere(e *kit.Env, t *kit.Table) error {
	for _, p := range programs() {
		if err := buildOne(e, t, p, p); err != nil {
			return err
		}
	}
	return nil
}

// cross makes both programs for every platform, and their pages.
func cross(e *kit.Env, t *kit.Table) error {
	for _, target := range kit.Targets() {
		for _, p := range programs() {
			if err := buildOne(e, t, p, p+"-"+target.Name, target.Env...); err != nil {
				return err
			}
		}
	}
	return manPages(e, t)
}

func buildOne(e *kit.Env, t *kit.Table, program, name string, env ...string) error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	out := filepath.Join(root, "dist", name)
	if err := kit.Build(e.Ctx, "cmd/"+program, out, env...); err != nil {
		return err
	}
	info, err := os.Stat(out)
	if err != nil {
		return fmt.Errorf("build %s: %w", name, err)
	}
	t.Info("dist/"+name, float64(info.Size())/(1<<20), "MiB")
	if strings.Contains(name, "-arm") {
		t.Check("dist/"+name+": segments fit pages of 64 KiB", size.Aligned(out))
	}
	return nil
}

// crashes runs both halves of item 2 one after the other, and both again with a device that gathers batches beside the first.
func crashes(e *kit.Env, t *kit.Table) error {
	t.Say("The device writes 200 numbered frames a second. A frame that /status had counted as accepted before a kill must")
	t.Say("arrive (write_after 0s, sync always); with the defaults it may be lost only while younger than write_after. Frames")
	t.Say("in the kernel's tty buffer are read by the next life; the one in the framer is lost or arrives torn. Inside a life")
	t.Say("nothing is missing; a kill or a broker stop repeats at most the window, each with the same (epoch, seq).")
	for _, o := range []crash.Options{
		{Label: "always", Kills: 50, Stops: 10, WriteAfter: "0s", Sync: "always"},
		{Label: "defaults", Kills: 50, Stops: 10},
		{Label: "mixed-always", Kills: 25, Stops: 5, WriteAfter: "0s", Sync: "always", Mixed: true},
		{Label: "mixed-defaults", Kills: 25, Stops: 5, Mixed: true},
	} {
		if err := crash.Run(e, o, t); err != nil {
			return fmt.Errorf("%s: %w", o.Label, err)
		}
	}
	return nil
}
