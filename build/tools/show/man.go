package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// manPages writes dist/man and dist/completions, from the commands themselves.
func manPages(e *kit.Env, t *kit.Table) error {
	root, err := kit.Root()
	if err != nil {
		return err
	}
	dist := filepath.Join(root, "dist")
	if err := writePages(e.Ctx, root, dist); err != nil {
		return err
	}
	for _, pattern := range []string{"man/*.1", "completions/*"} {
		pages, err := filepath.Glob(filepath.Join(dist, pattern))
		if err != nil {
			return fmt.Errorf("pages: %w", err)
		}
		t.AtLeast("dist/"+pattern, float64(len(pages)), 1, "files")
	}
	return nil
}

// writePages has both programs write their pages into dir/man and dir/completions. They carry the generator only with the build
// tag docs.
func writePages(ctx context.Context, root, dir string) error {
	for _, p := range programs() {
		cmd := exec.CommandContext(ctx, "go", "run", "-tags", "docs", "-ldflags", kit.LDFlags(root), "./cmd/"+p, "docs", dir)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("pages of %s: %w\n%s", p, err, out)
		}
	}
	return nil
}
