package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Every command has a page that keeps its text and its examples, and no program that is shipped carries the generator.
func TestPagesComeFromTheCommands(t *testing.T) {
	root, err := kit.Root()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := writePages(t.Context(), root, dir); err != nil {
		t.Fatal(err)
	}
	for page, want := range map[string][]string{
		"man/linkbeat.1": {`.TH "LINKBEAT" "1"`, "linkbeat template > linkbeat.yaml    a commented configuration",
			`linkbeat-check(1)`},
		"man/linkbeat-check.1": {".SH EXAMPLE", "--estimate", "Exit status: 0 good"},
		"man/linkbeatctl-console.1": {"serial device <name> of gateway <device>",
			"at the beginning of a line leaves, ~~ sends one ~"},
		"man/linkbeatctl-demo.1":        {"--seed"},
		"completions/linkbeat.bash":     {"__start_linkbeat"},
		"completions/_linkbeatctl":      {"#compdef linkbeatctl"},
		"completions/linkbeatctl.fish":  {"complete -c linkbeatctl"},
		"completions/linkbeatctl.bash":  {"__start_linkbeatctl"},
		"completions/_linkbeat":         {"#compdef linkbeat"},
		"completions/linkbeat.fish":     {"complete -c linkbeat"},
		"man/linkbeat-version.1":        {"--json"},
		"man/linkbeatctl-version.1":     {"--json"},
		"man/linkbeatctl.1":             {"linkbeatctl-acl(1)"},
		"man/linkbeat-completion-zsh.1": {"zsh"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, page))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(string(text), w) {
				t.Errorf("%s does not say %q", page, w)
			}
		}
	}
	cmd := exec.Command("go", "list", "-deps", "./cmd/...")
	cmd.Dir = root
	deps, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(deps), "md2man") || !strings.Contains(string(deps), "spf13/cobra") {
		t.Error("a program carries the generator of its pages")
	}
}
