package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestVersionInALine(t *testing.T) {
	v := Version{Program: "linkbeat", Version: "1.2.3", Commit: "0123456789ab", BuildTime: "2026-11-01T10:00:00Z", Go: "go1.26.0",
		Platform: "linux/arm"}
	if got, want := v.String(),
		"linkbeat 1.2.3 (commit 0123456789ab, built 2026-11-01T10:00:00Z, go1.26.0, linux/arm)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if !v.Built().Equal(time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("built %v", v.Built())
	}
	unknown := Version{Program: "linkbeat", Version: "dev", Go: "go1.26.0", Platform: "linux/arm"}
	if got, want := unknown.String(), "linkbeat dev (go1.26.0, linux/arm)"; got != want || !unknown.Built().IsZero() {
		t.Errorf("%q, want %q; built %v", got, want, unknown.Built())
	}
	var out bytes.Buffer
	var read Version
	if err := v.print(&out, true); err != nil || json.Unmarshal(out.Bytes(), &read) != nil || read != v {
		t.Errorf("%s: %v", &out, err)
	}
}

// program has one command that takes <must> and [may], and fails in one way or another.
func program(fault error) (*cobra.Command, *bytes.Buffer) {
	var out bytes.Buffer
	root := &cobra.Command{Use: "prog"}
	root.SetOut(&out)
	root.SetErr(&out)
	cmd := &cobra.Command{Use: "copy <must> [may]", RunE: func(*cobra.Command, []string) error { return fault }}
	cmd.Flags().Int("count", 0, "how many")
	root.AddCommand(cmd)
	return New(root, Version{Program: "prog"}), &out
}

func TestRun(t *testing.T) {
	failed := errors.New("device does not answer")
	for _, tt := range []struct {
		name, args string
		fault      error
		code       int
		out        string // all of it, or how it begins
	}{
		{"done", "copy a", nil, 0, ""},
		{"done, all arguments", "copy a b", nil, 0, ""},
		{"failed", "copy a", failed, 7, "prog: device does not answer\n"},
		{"failed, and all was said", "copy a", errors.New(""), 7, ""},
		{"found wrong by the command", "copy a", Usage(failed), ExitUsage,
			"prog: device does not answer; see prog copy --help\n"},
		{"too few", "copy", nil, ExitUsage, "prog: <must> is missing: prog copy <must> [may] [flags]; see prog copy --help\n"},
		{"too many", "copy a b c", nil, ExitUsage,
			`prog: argument "c" is one too many: prog copy <must> [may] [flags]; see prog copy --help` + "\n"},
		{"bad value", "copy a --count x", nil, ExitUsage, `prog: invalid argument "x" for "--count" flag`},
		{"no such flag", "copy a --nope", nil, ExitUsage, "prog: unknown flag: --nope; see prog copy --help\n"},
		{"mistyped", "cpoy a", nil, ExitUsage,
			`prog: unknown command "cpoy" for "prog": did you mean copy?; see prog --help` + "\n"},
		{"no idea", "fly", nil, ExitUsage, `prog: unknown command "fly" for "prog"; see prog --help` + "\n"},
		{"nothing", "", nil, 0, "Usage:"},
		{"version", "--version", nil, 0, "prog  ("},
		{"help", "help copy", nil, 0, "Usage:\n  prog copy <must> [may] [flags]"},
		{"help of nothing", "help fly", nil, ExitUsage, `prog: unknown command "fly" for "prog"; see prog help --help` + "\n"},
		{"completion of a shell", "completion bash", nil, 0, "# bash completion V2 for prog"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			root, out := program(tt.fault)
			code := Run(t.Context(), root, strings.Fields(tt.args), func(error) int { return 7 })
			if code != tt.code || !strings.HasPrefix(out.String(), tt.out) || tt.out == "" && out.Len() > 0 {
				t.Errorf("exit status %d, want %d; printed %q, want %q", code, tt.code, out, tt.out)
			}
		})
	}
	if Usage(nil) != nil {
		t.Error("nothing wrong is wrong use")
	}
}
