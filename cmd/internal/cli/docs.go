//go:build docs

package cli

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// addDocs adds the hidden command that writes man pages and completion scripts: `go run -tags docs ./cmd/linkbeat docs dist`.
func addDocs(root *cobra.Command, v Version) {
	root.AddCommand(&cobra.Command{
		Use: "docs <folder>", Short: "write man pages and completion scripts", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := completions(root, filepath.Join(args[0], "completions")); err != nil {
				return err
			}
			return manPages(root, v, filepath.Join(args[0], "man"))
		},
	})
}

// completions writes a script for each shell, under the name that the shell looks for.
func completions(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := root.GenBashCompletionFileV2(filepath.Join(dir, root.Name()+".bash"), true); err != nil {
		return err
	}
	if err := root.GenZshCompletionFile(filepath.Join(dir, "_"+root.Name())); err != nil {
		return err
	}
	return root.GenFishCompletionFile(filepath.Join(dir, root.Name()+".fish"), true)
}

// manPages writes a page of section 1 for each command. The texts become Markdown first, which the generator reads.
func manPages(root *cobra.Command, v Version, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	walk(root, func(cmd *cobra.Command) {
		cmd.DisableAutoGenTag = true
		cmd.Use, cmd.Short, cmd.Long = escape(cmd.Use), escape(cmd.Short), markdown(cmd.Long)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { f.Usage = escape(f.Usage) })
	})
	built := v.Built()
	header := doc.GenManHeader{Section: "1", Date: &built, Source: v.Program + " " + v.Version, Manual: "linkbeat"}
	return doc.GenManTree(root, &header, dir)
}

// markdown makes lines that are indented a block of their own, and escapes the others.
func markdown(text string) string {
	var b strings.Builder
	block := false
	for line := range strings.Lines(text) {
		indented := strings.HasPrefix(line, "  ")
		if indented != block {
			b.WriteString("```\n")
			block = indented
		}
		if !indented {
			line = escape(line)
		}
		b.WriteString(line)
	}
	if block {
		b.WriteString("\n```\n")
	}
	return b.String()
}

// escape keeps what Markdown would take for its own; the name of a flag's value stays between backquotes.
func escape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `<`, `\<`, `>`, `\>`, `*`, `\*`, `_`, `\_`, `~`, `\~`, `|`, `\|`, `#`, `\#`).
		Replace(text)
}
