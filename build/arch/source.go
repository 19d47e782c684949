package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Module path of this repository.
const module = "github.com/linkbeat/linkbeat/"

// Source is one parsed Go file.
type Source struct {
	Path    string // slashes, from the root
	Package string // folder from the root
	Test    bool
	Text    []byte
	File    *ast.File
	Fset    *token.FileSet
	Imports []string
}

// Load parses every Go file below root.
func Load(root string) ([]Source, error) {
	paths, err := files(root, func(name string) bool { return strings.HasSuffix(name, ".go") })
	if err != nil {
		return nil, err
	}
	var all []Source
	for _, path := range paths {
		s, err := load(root, path)
		if err != nil {
			return nil, fmt.Errorf("read the sources: %w", err)
		}
		all = append(all, s)
	}
	return all, nil
}

// files lists what lies below root under a name that is wanted; dist, testdata and hidden folders are left out.
func files(root string, wanted func(name string) bool) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != root && (name == "dist" || name == "testdata" || strings.HasPrefix(name, ".")) {
			return filepath.SkipDir
		}
		if !d.IsDir() && wanted(name) {
			paths = append(paths, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the sources: %w", err)
	}
	return paths, nil
}

func load(root, path string) (Source, error) {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		return Source{}, err
	}
	s := Source{Path: filepath.ToSlash(rel), Test: strings.HasSuffix(path, "_test.go"), Fset: token.NewFileSet()}
	s.Package = filepath.ToSlash(filepath.Dir(rel))
	if s.Text, err = os.ReadFile(path); err != nil {
		return s, err
	}
	if s.File, err = parser.ParseFile(s.Fset, s.Path, s.Text, parser.ParseComments); err != nil {
		return s, err
	}
	for _, i := range s.File.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return s, err
		}
		s.Imports = append(s.Imports, p)
	}
	return s, nil
}

// Lines of the file.
func (s Source) Lines() int { return strings.Count(string(s.Text), "\n") }

// Funcs calls f for every function with its length in lines.
func (s Source) Funcs(f func(name string, lines int)) {
	for _, d := range s.File.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		f(fn.Name.Name, s.Fset.Position(fn.End()).Line-s.Fset.Position(fn.Pos()).Line+1)
	}
}

// Calls lists where pkg.name is called, as file:line.
func (s Source) Calls(pkg, name string) []string {
	var found []string
	ast.Inspect(s.File, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || sel.Sel.Name != name {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == pkg {
			found = append(found, fmt.Sprintf("%s:%d", s.Path, s.Fset.Position(call.Pos()).Line))
		}
		return true
	})
	return found
}

// standard tells a package of the standard library: its first element has no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

// within reports whether path is dir or below it.
func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

func anyWithin(path string, dirs []string) bool {
	for _, d := range dirs {
		if within(path, d) {
			return true
		}
	}
	return false
}
