package main

import (
	"bytes"
	"go/ast"
	"go/format"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestSourcesAreFormatted(t *testing.T) {
	for _, s := range sources(t) {
		out, err := format.Source(s.Text)
		if err != nil {
			t.Errorf("%s: %v", s.Path, err)
		} else if !bytes.Equal(out, s.Text) {
			t.Errorf("%s is not formatted: run gofmt -w %s", s.Path, s.Path)
		}
	}
}

func TestLinesAreAtMost130ColumnsWide(t *testing.T) {
	for _, s := range sources(t) {
		for _, sentence := range wideLines(s.Path, string(s.Text), s.heldLines()) {
			t.Error(sentence)
		}
	}
	root, err := kit.Root()
	if err != nil {
		t.Fatal(err)
	}
	scripts, err := Scripts(root)
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range scripts {
		for _, sentence := range wideLines(path, text, nil) {
			t.Error(sentence)
		}
	}
}

func TestNoInitFunctions(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.File.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has func init: pass an Options struct instead", s.Path)
			}
		}
	}
}

func TestProductTestsDoNotSleep(t *testing.T) {
	for _, s := range sources(t) {
		if !s.Test || anyWithin(s.Package, Outside()) || importsSynctest(s) {
			continue
		}
		for _, at := range s.Calls("time", "Sleep") {
			t.Errorf("%s: time.Sleep in a test: use testing/synctest or a channel", at)
		}
	}
}

// importsSynctest: inside a bubble a sleep is fake time, and costs nothing.
func importsSynctest(s Source) bool { return slices.Contains(s.Imports, "testing/synctest") }

func TestNothingIsLeftToDo(t *testing.T) {
	mark := regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	for _, s := range sources(t) {
		for _, group := range s.File.Comments {
			if m := mark.FindString(group.Text()); m != "" {
				t.Errorf("%s: %s in a comment: do it or write an issue", s.Fset.Position(group.Pos()), m)
			}
		}
	}
}

func TestFilesAndFunctionsStaySmall(t *testing.T) {
	var listed []string
	for _, s := range sources(t) {
		n := s.Lines()
		if n > fileListed {
			listed = append(listed, s.Path)
		}
		if n > fileMax {
			t.Errorf("%s has %d lines, the limit is %d: split it by concern", s.Path, n, fileMax)
		}
		s.Funcs(func(name string, lines int) {
			if lines > funcListed && !s.Test {
				listed = append(listed, s.Path+" "+name)
			}
			if lines > funcMax && !s.Test { // a test is as long as its table
				t.Errorf("%s: %s has %d lines, the limit is %d", s.Path, name, lines, funcMax)
			}
		})
	}
	t.Logf("above %d lines a file or %d a function: %s", fileListed, funcListed, strings.Join(listed, ", "))
}

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range sources(t) {
		if s.Test || s.File.Name.Name == "main" {
			continue
		}
		for _, d := range s.File.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.IsExported() && d.Doc == nil && exportedReceiver(d) {
					t.Errorf("%s: %s has no doc comment", s.Fset.Position(d.Pos()), d.Name.Name)
				}
			case *ast.GenDecl:
				checkSpecs(t, s, d)
			}
		}
	}
}

// checkSpecs wants a comment on each exported type, and on exported values one at least on their group.
func checkSpecs(t *testing.T, s Source, d *ast.GenDecl) {
	t.Helper()
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && spec.Doc == nil && d.Doc == nil {
				t.Errorf("%s: type %s has no doc comment", s.Fset.Position(spec.Pos()), spec.Name.Name)
			}
		case *ast.ValueSpec:
			if spec.Names[0].IsExported() && spec.Doc == nil && spec.Comment == nil && d.Doc == nil {
				t.Errorf("%s: %s has no doc comment", s.Fset.Position(spec.Pos()), spec.Names[0].Name)
			}
		}
	}
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if index, ok := typ.(*ast.IndexExpr); ok {
		typ = index.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}
