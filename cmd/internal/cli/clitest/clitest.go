// Package clitest checks that every command of a program keeps the habits of package cli.
package clitest

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/linkbeat/linkbeat/cmd/internal/cli"
)

// Program is what is checked. Run is its main: it returns the exit status, and what was printed on stderr.
type Program struct {
	Root *cobra.Command
	Run  func(t *testing.T, args ...string) (code int, stderr string)
}

// Habits calls every command in every wrong way, and reads its help.
func Habits(t *testing.T, p Program) {
	wrong := func(t *testing.T, want string, args ...string) {
		t.Helper()
		code, stderr := p.Run(t, args...)
		if code != cli.ExitUsage || !strings.Contains(stderr, "--help") || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit status %d, want %d; stderr %q, want %q and the help page", args, code, cli.ExitUsage, stderr, want)
		}
	}
	t.Run("root", func(t *testing.T) {
		wrong(t, "unknown command", "dance")
		wrong(t, "did you mean version?", "versoin")
		wrong(t, "unknown flag", "--dance")
		wrong(t, "unknown command", "help", "dance")
		wrong(t, "unknown command", "completion", "dance")
		wrong(t, "needs a command", "completion")
	})
	each(p.Root, func(cmd *cobra.Command, path []string) {
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			wrong(t, "unknown flag: --dance", append(path, "--dance")...)
			if cmd.Name() == "help" {
				return
			}
			wrong(t, "", append(path, "a", "b", "c", "d")...)
			if strings.Contains(cmd.Use, " <") {
				wrong(t, "", path...)
			}
			cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
				switch f.Value.Type() {
				case "string", "stringSlice", "stringArray", "bool": // any text, or none
				default:
					wrong(t, "--"+f.Name, append(path, "--"+f.Name+"=nonsense")...)
				}
			})
			if path[0] != "completion" { // the library's own texts
				readable(t, cmd)
			}
		})
	})
}

// readable checks that the help says enough.
func readable(t *testing.T, cmd *cobra.Command) {
	t.Helper()
	if !strings.Contains(cmd.Long, "Exit status: 0") || !strings.Contains(cmd.Long, "64") {
		t.Errorf("the help does not list the exit status:\n%s", cmd.Long)
	}
	if cmd.Example == "" || !strings.Contains(cmd.Example, cmd.CommandPath()) {
		t.Errorf("the help shows no example:\n%s", cmd.Example)
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Usage == "" {
			t.Errorf("flag --%s is not explained", f.Name)
		}
	})
}

// each visits the commands that can be called, with the words that name them.
func each(cmd *cobra.Command, visit func(cmd *cobra.Command, path []string)) {
	for _, sub := range cmd.Commands() {
		if sub.Hidden {
			continue
		}
		if path := strings.Fields(sub.CommandPath())[1:]; !sub.HasSubCommands() {
			visit(sub, path)
		}
		each(sub, visit)
	}
}
