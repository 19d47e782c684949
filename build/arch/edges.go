package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"slices"
	"strconv"
	"strings"
)

// An edge is where text leaves the program for a terminal, a log, a page or a bundle. It goes through agent/printable, since any
// string in it may be a stranger's; Edges finds what goes past it.

// Past is a place that goes past agent/printable.
type Past struct {
	File string // from the root
	Line int
	What string // os.Stderr, fmt.Fprintf, …
}

// Own says that a file may go past agent/printable, and why that lets no stranger pass.
type Own struct{ File, What, Why string }

const printableRoom = "agent/printable"

// OwnEdges are the exceptions. One that nothing needs any more fails the test.
func OwnEdges() []Own {
	const writesBuffer = "into a buffer of its own; what prints it is an edge"
	return []Own{
		{"cmd/linkbeatctl/main.go", "os.Stdout", "handed to cli.Run, which makes an edge of it"},
		{"cmd/linkbeatctl/main.go", "os.Stderr", "handed to cli.Run, which makes an edge of it"},
		{"cmd/linkbeatctl/main.go", "SetOut", "handed to cli.Run, which makes an edge of it"},
		{"cmd/linkbeatctl/main.go", "SetErr", "handed to cli.Run, which makes an edge of it"},
		{"cmd/linkbeat/run.go", "os.Stderr", "the log's: supervise.NewLog and prepare are the edge"},
		{"cmd/linkbeat/run.go", "zerolog.ConsoleWriter", "prepare makes printable what it takes apart"},
		{"agent/supervise/log.go", "zerolog.New", "the one log, behind a printable.Writer"},
		{"cmd/internal/cli/edge.go", "SetOut", "makes the edge"},
		{"cmd/internal/cli/edge.go", "SetErr", "makes the edge"},
		{"cmd/internal/cli/edge.go", "Raw", "RawOut and RawErr, which have exceptions of their own"},
		{"cmd/internal/cli/cli.go", "io.WriteString", "lines made it printable, a line for each error"},
		{"cmd/linkbeatctl/console.go", "cli.RawOut", "a console is a terminal for the device: raw by design"},
		{"cmd/linkbeatctl/console.go", "cli.RawErr", "a carriage return of ours, behind printable.Sprintf"},
		{"cmd/linkbeatctl/console.go", "io.WriteString", "a carriage return of ours, behind printable.Sprintf"},
		{"cmd/linkbeatctl/tail.go", "cli.RawOut", "--raw: the bytes of frames, asked for"},
		{"cmd/linkbeatctl/request.go", "cli.RawOut", "--raw: the bytes of an answer, asked for"},
		{"agent/diag/render.go", "io.WriteString", "line is printable.Sprintf"},
		{"agent/wire/record.go", "json.NewEncoder", writesBuffer},
		{"agent/statuspage/serve.go", "log", "http.Server wants a logger; its lines go into the log, which is an edge"},
		{"agent/demo/broker.go", "log/slog", "the library of the demo's broker wants a logger, and its lines are dropped"},
		{"transport/netdial/tls.go", "fmt.Fprintf", "into a hash"},
	}
}

// Edges finds what goes past agent/printable in the product.
func Edges(all []Source) (found []Past) {
	for _, s := range all {
		if s.Test || anyWithin(s.Package, Outside()) || within(s.Package, printableRoom) || strings.HasSuffix(s.Package, "test") {
			continue
		}
		e := edges{s: s, names: importNames(s)}
		for _, i := range s.File.Imports {
			e.imported(i)
		}
		ast.Inspect(s.File, func(n ast.Node) bool {
			e.look(n)
			return true
		})
		found = append(found, e.found...)
	}
	return found
}

// edges looks at one file.
type edges struct {
	s     Source
	names map[string]string // of imports: the path by the name in the file
	found []Past
}

func importNames(s Source) map[string]string {
	names := map[string]string{}
	for _, i := range s.File.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(p)
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = p
	}
	return names
}

func (e *edges) add(at token.Pos, what string) {
	e.found = append(e.found, Past{e.s.Path, e.s.Fset.Position(at).Line, what})
}

// imported: packages that print by themselves, and those whose names a dot hides.
func (e *edges) imported(i *ast.ImportSpec) {
	switch p, _ := strconv.Unquote(i.Path.Value); {
	case slices.Contains([]string{"log", "log/slog", "text/tabwriter"}, p):
		e.add(i.Pos(), p)
	case i.Name != nil && i.Name.Name == ".":
		e.add(i.Pos(), "import . "+p)
	}
}

func (e *edges) look(n ast.Node) {
	switch n := n.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING &&
			slices.Contains([]string{"/dev/tty", "/dev/stdout", "/dev/stderr", "/dev/console"}, text) {
			e.add(n.Pos(), text)
		}
	case *ast.SelectorExpr:
		if name := e.of(n); slices.Contains([]string{"os.Stdout", "os.Stderr", "zerolog.New", "zerolog.ConsoleWriter",
			"zerolog.NewConsoleWriter", "cli.RawOut", "cli.RawErr"}, name) || strings.HasPrefix(name, "fmt.Print") {
			e.add(n.Pos(), name)
		}
	case *ast.CallExpr:
		e.call(n)
	}
}

// of is a name of a package, as os.Stderr; "" for any other selector. An import under another name has its own.
func (e *edges) of(n ast.Expr) string {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	if id, ok := sel.X.(*ast.Ident); ok && e.names[id.Name] != "" {
		return path.Base(e.names[id.Name]) + "." + sel.Sel.Name
	}
	return ""
}

func (e *edges) call(n *ast.CallExpr) {
	if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
		e.add(n.Pos(), id.Name)
		return
	}
	sel, ok := n.Fun.(*ast.SelectorExpr)
	if !ok {
		return
	}
	switch name := e.of(sel); {
	case strings.HasPrefix(name, "fmt.Fprint"), name == "json.NewEncoder":
		if !buffer(n.Args[0]) {
			e.add(n.Pos(), name)
		}
	case name == "io.WriteString":
		if !buffer(n.Args[0]) && !edge(n.Args[0]) && !e.shown(n.Args[1]) {
			e.add(n.Pos(), name)
		}
	case name == "http.Error":
		if !e.shown(n.Args[1]) {
			e.add(n.Pos(), name)
		}
	case name == "" && len(n.Args) == 0 && sel.Sel.Name == "Raw", len(n.Args) == 1 && (sel.Sel.Name == "SetOut" ||
		sel.Sel.Name == "SetErr"):
		e.add(n.Pos(), sel.Sel.Name)
	}
}

// buffer is true for the address of a variable: a writer to a terminal is never taken the address of.
func buffer(x ast.Expr) bool {
	u, ok := x.(*ast.UnaryExpr)
	return ok && u.Op == token.AND
}

// edge is true for a stream of a command, of which cli.Run has made an edge.
func edge(x ast.Expr) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	return ok && (sel.Sel.Name == "OutOrStdout" || sel.Sel.Name == "ErrOrStderr")
}

// shown is true for a text of ours, and for what agent/printable made.
func (e *edges) shown(x ast.Expr) bool {
	if lit, ok := x.(*ast.BasicLit); ok {
		return lit.Kind == token.STRING
	}
	call, ok := x.(*ast.CallExpr)
	return ok && strings.HasPrefix(e.of(call.Fun), "printable.")
}

// PastEdges are sentences about what goes past agent/printable without an exception, and about exceptions that nothing needs.
func PastEdges(found []Past, own []Own) (all []string) {
	used := map[int]bool{}
	for _, p := range found {
		i := slices.IndexFunc(own, func(o Own) bool { return o.File == p.File && o.What == p.What })
		if used[i] = true; i < 0 {
			all = append(all, fmt.Sprintf("%s:%d: %s goes past agent/printable, and a string in it may be a stranger's: "+
				"use printable.Fprintf, Table, Encode or NewWriter, or say in build/arch/edges.go why no stranger passes",
				p.File, p.Line, p.What))
		}
	}
	for i, o := range own {
		if !used[i] {
			all = append(all, fmt.Sprintf("edges.go excepts %s in %s, and nothing there needs it: take it out", o.What, o.File))
		}
		if strings.TrimSpace(o.Why) == "" {
			all = append(all, fmt.Sprintf("edges.go excepts %s in %s and gives no reason", o.What, o.File))
		}
	}
	return all
}
