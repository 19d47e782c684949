package cli

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/printable/printabletest"
)

// listing is an error with lines of its own.
type listing []string

func (l listing) Error() string   { return strings.Join(l, "\n") }
func (l listing) Lines() []string { return l }

func TestLinesOfAnError(t *testing.T) {
	two, forged := listing{"line 1: a", "line 2: b"}, errors.New("reset\nlinkbeat: all is well\x1b[2J")
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"a stranger's line feed", forged, `reset\x0alinkbeat: all is well\x1b[2J`},
		{"wrapped", fmt.Errorf("a: %w", forged), `a: reset\x0alinkbeat: all is well\x1b[2J`},
		{"joined", errors.Join(errors.New("a"), forged), "a\n" + `reset\x0alinkbeat: all is well\x1b[2J`},
		{"two in one sentence", fmt.Errorf("%w: %w", errors.New("a\nb"), forged),
			`a\x0ab: reset\x0alinkbeat: all is well\x1b[2J`},
		{"lines of its own", two, "line 1: a\nline 2: b"},
		{"behind a head", fmt.Errorf("f is not good:\n%w", two), "f is not good:\nline 1: a\nline 2: b"},
		{"behind a head, and before a tail", fmt.Errorf("%w\nor give a URL", fmt.Errorf("%w:\n%w", errors.New("none"), two)),
			"none:\nline 1: a\nline 2: b\nor give a URL"},
		{"in a sentence", fmt.Errorf("a %w z", two), "a line 1: a\nline 2: b z"},
		{"a head with a stranger's line feed", fmt.Errorf("f\ng:\n%w", two), `f\x0ag:` + "\nline 1: a\nline 2: b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := lines(tt.err); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestRunMakesAnEdgeOfBothStreams: a print of any kind that a command may think of.
func TestRunMakesAnEdgeOfBothStreams(t *testing.T) {
	for _, c := range printabletest.Controls() {
		if c.Text == "\n" || c.Text == "\t" { // of ours, as far as a stream can know
			continue
		}
		root, out := program(errors.New(printabletest.Marked(c)))
		sub, _, err := root.Find([]string{"copy"})
		if err != nil {
			t.Fatal(err)
		}
		fails := sub.RunE
		sub.RunE = func(cmd *cobra.Command, args []string) error {
			fmt.Fprint(cmd.OutOrStdout(), printabletest.Marked(c))
			cmd.PrintErrln(printabletest.Marked(c))
			cmd.Println(printabletest.Marked(c))
			fmt.Fprint(cmd.OutOrStdout(), c.Text) // the end of what is written
			return fails(cmd, args)
		}
		Run(t.Context(), root, []string{"copy", "a"}, func(error) int { return 7 })
		if passed := printabletest.Passed(out.Bytes()); passed != nil || out.Len() == 0 {
			t.Errorf("%s: %v pass: %q", c.Name, passed, out)
		}
	}
}

func TestALineOfAnErrorIsBounded(t *testing.T) {
	long := errors.New(strings.Repeat("x", 1<<20))
	for name, err := range map[string]error{"alone": long, "joined": errors.Join(long, long), "around lines": fmt.Errorf("%w: %w",
		long, listing{"a", "b"})} {
		if got := lines(err); len(got) > 3*maxLine || !strings.Contains(got, "bytes more") {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
}
