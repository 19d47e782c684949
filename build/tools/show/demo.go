package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/linkbeat/linkbeat/agent/demo"
	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// demoSeeds draw limits from 4.02 s to 8.92 s, about evenly.
func demoSeeds() []uint64 { return []uint64{82, 4, 24, 11, 5, 8, 85, 2, 22, 104} }

const demoStops = 30 * time.Second // that a demo has to end after an interrupt

// demoRun is one run of the real programs.
type demoRun struct {
	seed    uint64
	outcome demo.Outcome
	err     error  // of the program
	story   string // the file that holds what it printed
}

// demos runs the demo once for each seed, all side by side, as `make demo DEMO_SECONDS=30` does.
func demos(e *kit.Env, t *kit.Table) error {
	agent, err := e.BuildAgent("")
	if err != nil {
		return err
	}
	ctl := filepath.Join(e.Dir, "linkbeatctl")
	if err := kit.Build(e.Ctx, "cmd/linkbeatctl", ctl); err != nil {
		return err
	}
	dir, err := e.Sub("demo")
	if err != nil {
		return err
	}
	e.Logf("%d demos of %v, side by side", len(demoSeeds()), demo.JudgedFrom)
	var all sync.WaitGroup
	runs := make([]demoRun, len(demoSeeds()))
	for i, seed := range demoSeeds() {
		runs[i] = demoRun{seed: seed, story: filepath.Join(dir, fmt.Sprintf("seed-%d.txt", seed))}
		all.Go(func() { runs[i].outcome, runs[i].err = playDemo(e.Ctx, ctl, agent, runs[i]) })
	}
	all.Wait()
	judgeDemos(runs, t)
	return nil
}

// playDemo runs linkbeatctl demo and reads its outcome. The story goes into a file.
func playDemo(ctx context.Context, ctl, agent string, r demoRun) (o demo.Outcome, err error) {
	story, err := os.Create(r.story)
	if err != nil {
		return o, fmt.Errorf("demo: %w", err)
	}
	defer story.Close()
	cmd := exec.CommandContext(ctx, ctl, "demo", "--json", "--agent", agent, "--seed", strconv.FormatUint(r.seed, 10),
		"--seconds", strconv.Itoa(int(demo.JudgedFrom/time.Second)))
	cmd.Stderr = story
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) } // it takes the agent down
	cmd.WaitDelay = demoStops
	out, runErr := cmd.Output()
	if err := json.Unmarshal(out, &o); err != nil {
		b, _ := os.ReadFile(r.story)
		return o, errors.Join(runErr, fmt.Errorf("outcome: %w\n%s", err, b))
	}
	return o, runErr
}

// judgeDemos writes the table.
func judgeDemos(runs []demoRun, t *kit.Table) {
	t.Say("Each run is `linkbeatctl demo --seconds %.0f` with a limit of its own, hidden from the agent; "+
		"all runs are side by side.",
		demo.JudgedFrom.Seconds())
	t.Say("The share is what the agent has proven of the limit, and its time counts from the start of the demo.")
	var sum demo.Outcome
	for _, r := range runs {
		o := r.outcome
		name := fmt.Sprintf("seed %d, limit %.2f s: ", r.seed, o.LimitS)
		t.Check(name+"ends well", r.err)
		t.AtLeast(name+"proven share", o.Share(), demo.ShareGoal, "")
		t.Info(name+"goal reached after", o.GoalAfterS, "s")
		sum.Frames.Sent += o.Frames.Sent
		sum.Frames.Lost += o.Frames.Lost
		sum.Frames.Altered += o.Frames.Altered
		sum.Frames.Duplicated += o.Frames.Duplicated
		sum.Dropped += o.Dropped
		sum.Agent.Sent, sum.Agent.Arrived = sum.Agent.Sent+o.Agent.Sent, sum.Agent.Arrived+o.Agent.Arrived
		sum.Plain.Sent, sum.Plain.Arrived = sum.Plain.Sent+o.Plain.Sent, sum.Plain.Arrived+o.Plain.Arrived
	}
	t.Info("frames sent", float64(sum.Frames.Sent), "")
	t.Exactly("frames lost", int(sum.Frames.Lost), 0, "", "")
	t.Exactly("frames altered", int(sum.Frames.Altered), 0, "", "")
	t.Exactly("frames twice", int(sum.Frames.Duplicated), 0, "", "")
	t.Exactly("connections lost by the agents", int(sum.Dropped), 0, "", "")
	t.Info("commands sent to each client", float64(sum.Agent.Sent), "")
	t.Exactly("commands lost, agents", int(sum.Agent.Lost()), 0, "", "")
	t.AtLeast("commands lost, plain clients", float64(sum.Plain.Lost()), 1, "")
}
