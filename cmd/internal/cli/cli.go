// Package cli holds the habits that linkbeat and linkbeatctl share: what a wrong command line is answered with, how they say
// their version, and the pages that are generated from their commands.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// ExitUsage is the exit status of wrong use, EX_USAGE of sysexits.h.
const ExitUsage = 64

// usageError is a fault of the command line.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// Usage makes err a fault of the command line: the program ends with ExitUsage and names the help page. Nil stays nil.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// Usagef is Usage of a new error.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Run executes root, to which [New] has given its habits, and returns the exit status: 0, ExitUsage, or what status says of the
// error. The error goes to root's stderr; one without text says nothing.
//
// What fails before a command has begun is wrong use: cobra has no type for the faults that it finds itself.
func Run(ctx context.Context, root *cobra.Command, args []string, status func(error) int) int {
	begun := false
	walk(root, func(cmd *cobra.Command) {
		if do := cmd.RunE; do != nil {
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				begun = true
				return do(cmd, args)
			}
		}
	})
	root.SetArgs(quiet(args))
	defer guard(root)()
	cmd, err := root.ExecuteContextC(ctx)
	switch text := ""; {
	case err == nil:
		return 0
	case !begun || errors.As(err, new(usageError)) || status(err) == ExitUsage:
		say(root.ErrOrStderr(), root.Name(), fmt.Sprintf("%s; see %s --help", lines(err), cmd.CommandPath()))
		return ExitUsage
	default:
		if text = lines(err); text != "" {
			say(root.ErrOrStderr(), root.Name(), text)
		}
		return status(err)
	}
}

// quiet are the arguments of a request for completions without what steers a terminal: cobra prints errors about them past the
// edges, and to a file that the environment names.
func quiet(args []string) []string {
	if len(args) == 0 || !strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return args
	}
	_ = os.Unsetenv("BASH_COMP_DEBUG_FILE")
	shown := slices.Clone(args)
	for i, a := range shown {
		shown[i] = printable.Line(a)
	}
	return shown
}

func say(w io.Writer, program, text string) { _, _ = io.WriteString(w, program+": "+text+"\n") }

func walk(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, sub := range cmd.Commands() {
		walk(sub, do)
	}
}

// New gives root, which has all its commands, the habits of both programs: version, help and completion, and a suggestion for
// a command that was mistyped. Its streams must be set before.
func New(root *cobra.Command, v Version) *cobra.Command {
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SuggestionsMinimumDistance = 2
	version := root.Flags().BoolP("version", "v", false, "print the version")
	root.Args = func(_ *cobra.Command, args []string) error { return unknown(root, args) }
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *version {
			return v.print(cmd.OutOrStdout(), false)
		}
		return cmd.Help()
	}
	root.AddCommand(newVersion(v))
	help := newHelp(root)
	help.Args = arguments
	root.SetHelpCommand(help)
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		cmd.Args = arguments
	}
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.Short, cmd.Example = "print a completion script for a shell", completionExample(root.Name())
			cmd.RunE = func(_ *cobra.Command, args []string) error { return unknown(cmd, append(args, "")) }
		}
	}
	addDocs(root, v)
	return root
}

// arguments checks that there are as many as Use names: <must>, [may].
func arguments(cmd *cobra.Command, args []string) error {
	most := 0
	for _, word := range strings.Fields(cmd.Use)[1:] {
		switch {
		case strings.HasPrefix(word, "<") && most >= len(args):
			return Usagef("%s is missing: %s", word, cmd.UseLine())
		case strings.HasPrefix(word, "<"), strings.HasPrefix(word, "["):
			most++
		}
	}
	if len(args) > most {
		return Usagef("argument %q is one too many: %s", args[most], cmd.UseLine())
	}
	return nil
}

func completionExample(program string) string {
	return strings.ReplaceAll(`  . <(PROGRAM completion bash)
  PROGRAM completion zsh > "${fpath[1]}/_PROGRAM"
  PROGRAM completion fish > ~/.config/fish/completions/PROGRAM.fish`, "PROGRAM", program)
}

// unknown is the error of a word that should have been a command of cmd; nil without a word.
func unknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if args[0] == "" {
		return Usagef("%s needs a command", cmd.CommandPath())
	}
	meant := ""
	if close := cmd.SuggestionsFor(args[0]); len(close) > 0 {
		meant = ": did you mean " + strings.Join(close, " or ") + "?"
	}
	return Usagef("unknown command %q for %q%s", args[0], cmd.CommandPath(), meant)
}

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [command]", Short: "explain a command",
		Long:    "Explain a command, its flags and its exit status.\n\nExit status: 0 done, 64 no such command.",
		Example: "  " + root.Name() + " help version",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			for _, cmd := range root.Commands() {
				if len(args) == 0 && cmd.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(cmd.Name(), cmd.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil {
				return Usage(err)
			}
			if err := unknown(cmd, rest); err != nil {
				return err
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}
