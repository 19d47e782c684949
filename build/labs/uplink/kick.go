package uplink

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// kicked runs the test of package transport that needs a bubble of fake time, and takes over its figures.
func kicked() cell {
	const name = "broker that accepts and kicks at once (virtual time)"
	return cell{name, func(e *kit.Env, _ string, t *kit.Table) error {
		dir, err := e.Sub("kick")
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(e.Ctx, "go", "test", "-count=1", "-run", "^TestKickedAtOnceIsNoStorm$", "./transport")
		cmd.Env = append(os.Environ(), "LAB_UPLINK="+dir)
		if cmd.Dir, err = kit.Root(); err != nil {
			return err
		}
		out, testErr := cmd.CombinedOutput()
		b, err := os.ReadFile(filepath.Join(dir, "kick.json"))
		if err != nil {
			return fmt.Errorf("%w: %v: %s", err, testErr, out)
		}
		var got []struct {
			How               string
			Runs, Calm, Worst int
		}
		if err := json.Unmarshal(b, &got); err != nil {
			return fmt.Errorf("kick.json: %w", err)
		}
		for _, k := range got {
			t.AtLeast(fmt.Sprintf("%s, %s: of %d runs, with at most 10 attempts in 10 minutes", name, k.How, k.Runs),
				float64(k.Calm), 0.99*float64(k.Runs), "runs")
			t.Info(fmt.Sprintf("%s, %s: most attempts", name, k.How), float64(k.Worst), "")
		}
		return nil
	}}
}
