package cli

import (
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/linkbeat/linkbeat/agent/printable"
)

// maxLine bounds a line of an error or a notice, in bytes: a server may choose how long it is.
const maxLine = 8 << 10

// guard makes edges of the streams of root: whatever a command prints, no character of a stranger steers the terminal. What is
// returned writes what they still hold.
func guard(root *cobra.Command) (flush func()) {
	out, err := printable.NewWriter(root.OutOrStdout()), printable.NewWriter(root.ErrOrStderr())
	root.SetOut(out)
	root.SetErr(err)
	return func() { // without an error: who reads them is gone
		_ = out.Flush()
		_ = err.Flush()
	}
}

// RawOut is the standard output of a command behind its edge, for bytes that a person has asked for as they are: those of a
// console, and of --raw.
func RawOut(cmd *cobra.Command) io.Writer { return behind(cmd.OutOrStdout()) }

// RawErr is the standard error of a command behind its edge: for carriage returns of ours, and what is printable already.
func RawErr(cmd *cobra.Command) io.Writer { return behind(cmd.ErrOrStderr()) }

func behind(w io.Writer) io.Writer {
	if edge, ok := w.(*printable.Writer); ok {
		return edge.Raw()
	}
	return w
}

// Notice says on standard error what is no result, a line that begins with !.
func Notice(cmd *cobra.Command) func(string) {
	return func(s string) {
		_ = printable.Fprintf(cmd.ErrOrStderr(), "! %s\n", printable.Short(s, maxLine))
	}
}

// lines is what an error says. A line feed in it is a stranger's, but where several errors were joined, or where one of them has
// lines of its own, which it answers to Lines.
func lines(err error) string {
	if several, ok := err.(interface{ Unwrap() []error }); ok && errors.Join(several.Unwrap()...).Error() == err.Error() {
		var all []string
		for _, one := range several.Unwrap() {
			all = append(all, lines(one))
		}
		return strings.Join(all, "\n")
	}
	text := err.Error()
	var own interface {
		error
		Lines() []string
	}
	if !errors.As(err, &own) {
		return printable.Short(text, maxLine)
	}
	before, after, found := strings.Cut(text, own.Error())
	if !found {
		return printable.Short(text, maxLine)
	}
	return around(before) + printable.Text(own.Error()) + around(after)
}

// around is what stands before or behind lines of an error's own: one line, and the line feed between.
func around(s string) string {
	line := strings.Trim(s, "\n")
	before, after, _ := strings.Cut(s, line)
	return before + printable.Short(line, maxLine) + after
}
