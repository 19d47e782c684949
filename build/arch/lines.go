package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// A line has at most columnsMax columns: a tab is tabColumns of them, any other character one.
const (
	columnsMax = 130
	tabColumns = 4
)

// printed is the help of a make target, which `make help` takes from one line.
var printed = regexp.MustCompile(`^[a-z0-9-]+:.*## `)

// columns counts those of a line.
func columns(line string) int {
	return utf8.RuneCountInString(line) + (tabColumns-1)*strings.Count(line, "\t")
}

// tooWide reports whether a line is to be broken. One that cannot be is not: a directive, a URL alone (behind the mark of a
// comment or in quotes), and the help of a make target.
func tooWide(line string) bool {
	if columns(line) <= columnsMax || strings.HasPrefix(line, "//go:") || printed.MatchString(line) {
		return false
	}
	words := strings.Fields(strings.TrimLeft(line, "\t /#"))
	return len(words) != 1 || !strings.Contains(words[0], "://")
}

// wideLines returns a sentence for each line of a text that is too wide; held are the numbers of lines that are left out.
func wideLines(path, text string, held map[int]bool) []string {
	var found []string
	for i, line := range strings.Split(text, "\n") {
		if !held[i+1] && tooWide(line) {
			found = append(found, fmt.Sprintf("%s:%d: %d columns, the limit is %d: break it behind a comma or an operator, "+
				"a string behind a word with +; put a comment above its line", path, i+1, columns(line), columnsMax))
		}
	}
	return found
}

// heldLines are the lines that a literal makes as wide as they are: all that a raw string of several lines touches, one that
// a raw string would fill alone, and one that ends in the tag of a field.
func (s Source) heldLines() map[int]bool {
	held := map[int]bool{}
	lines := strings.Split(string(s.Text), "\n")
	ast.Inspect(s.File, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			if n.Tag != nil && n.Comment == nil {
				held[s.Fset.Position(n.Tag.Pos()).Line] = true
			}
		case *ast.BasicLit:
			if n.Kind != token.STRING || n.Value[0] != '`' {
				return true
			}
			first, last := s.Fset.Position(n.Pos()).Line, s.Fset.Position(n.End()).Line
			line := lines[first-1]
			alone := line[:len(line)-len(strings.TrimLeft(line, "\t"))] + "\t" + n.Value
			for at := first; at <= last && (first < last || columns(alone) > columnsMax); at++ {
				held[at] = true
			}
		}
		return true
	})
	return held
}

// Scripts reads what is written by hand and is no Go: shell scripts, makefiles and the command of CI. Path to text.
func Scripts(root string) (map[string]string, error) {
	paths, err := files(root, func(name string) bool { return strings.HasSuffix(name, ".sh") || name == "Makefile" })
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, path := range append(paths, filepath.Join(root, ".ci", "run")) {
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		texts[filepath.ToSlash(rel)] = string(text)
	}
	return texts, nil
}
