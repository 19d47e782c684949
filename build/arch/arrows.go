package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Arrows are the references between the files of one package. An arrow is an ordered pair of files of which the first
// uses something that the second declares: a package-level name, a field or a method. One that goes back runs against the
// order of floors in which fewest do.
type Arrows struct {
	All    int      `json:"all"`
	Back   int      `json:"back"`
	Most   bool     `json:"most,omitempty"` // Back is the best that was found, not proven to be the fewest
	Which  []string `json:"which,omitempty"`
	Floors []string `json:"floors,omitempty"` // the files in that order, who uses above who is used
}

// listed is one package as `go list -json` tells it.
type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Export     string
	Standard   bool
}

// References type-checks every package below root, as it is built for this machine, and returns its arrows by folder.
// What it imports is read from the compiler's export data, so that the packages must build.
func References(root string) (map[string]Arrows, error) {
	found := map[string]Arrows{}
	err := eachChecked(root, func(c checked) { found[c.folder] = arrowsOf(c) })
	return found, err
}

// checked is a package of ours whose types are known.
type checked struct {
	folder string // from the root
	names  []string
	files  []*ast.File // in the order of names
	fset   *token.FileSet
	pkg    *types.Package
	info   *types.Info
}

// eachChecked type-checks every package below root, as it is built for this machine.
func eachChecked(root string, f func(checked)) error {
	all, err := goList(root)
	if err != nil {
		return err
	}
	exports := map[string]string{}
	for _, p := range all {
		exports[p.ImportPath] = p.Export
	}
	fset := token.NewFileSet()
	imp := importer.ForCompiler(fset, runtime.Compiler, func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	})
	for _, p := range all {
		if p.Standard || !within(p.ImportPath, strings.TrimSuffix(module, "/")) {
			continue
		}
		c, err := check(fset, imp, p)
		if err != nil {
			return fmt.Errorf("%s: %w", p.ImportPath, err)
		}
		f(c)
	}
	return nil
}

func goList(root string) ([]listed, error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export,Standard", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w: %s", err, stderr.Bytes())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		all = append(all, p)
	}
}

func check(fset *token.FileSet, imp types.Importer, p listed) (c checked, err error) {
	c = checked{folder: strings.TrimPrefix(p.ImportPath, module), names: p.GoFiles, fset: fset}
	for _, name := range p.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return c, err
		}
		c.files = append(c.files, f)
	}
	c.info = &types.Info{Uses: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
		Types: map[ast.Expr]types.TypeAndValue{}}
	c.pkg, err = (&types.Config{Importer: imp}).Check(p.ImportPath, fset, c.files, c.info)
	return c, err
}

func arrowsOf(c checked) Arrows {
	at := map[string]int{}
	for i, name := range c.names {
		at[name] = i
	}
	edges := map[[2]int]bool{}
	for id, o := range c.info.Uses {
		if o.Pkg() != c.pkg || !declaredByPackage(o, c.pkg) {
			continue
		}
		from := at[filepath.Base(c.fset.Position(id.Pos()).Filename)]
		to, ok := at[filepath.Base(c.fset.Position(o.Pos()).Filename)]
		if ok && from != to {
			edges[[2]int{from, to}] = true
		}
	}
	order, proven := fewestBack(len(c.names), edges)
	return told(c.names, edges, order, proven)
}

// declaredByPackage leaves out what is local to a function: parameters, variables, labels.
func declaredByPackage(o types.Object, pkg *types.Package) bool {
	switch o := o.(type) {
	case *types.Var:
		return o.IsField() || o.Parent() == pkg.Scope()
	case *types.Func:
		return true
	default:
		return o.Parent() == pkg.Scope()
	}
}

func told(names []string, edges map[[2]int]bool, order []int, proven bool) Arrows {
	a := Arrows{All: len(edges), Most: !proven}
	floor := make([]int, len(names))
	for i, f := range order {
		floor[f] = i
		a.Floors = append(a.Floors, names[f])
	}
	for e := range edges {
		if floor[e[0]] > floor[e[1]] {
			a.Which = append(a.Which, names[e[0]]+" → "+names[e[1]])
		}
	}
	slices.Sort(a.Which)
	a.Back = len(a.Which)
	return a
}
