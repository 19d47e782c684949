package main

import (
	"fmt"
	"go/ast"
	"path"
	"strings"
)

// kindsOfTest are what a test file may be about besides one source file, as the last part of its name: what holds for every
// input, what a fuzzer found, what it costs.
func kindsOfTest() []string { return []string{"property", "fuzz", "bench", "habits"} }

// StrayTests names the test files that belong to nothing: neither to a source file of their name, nor to their package, nor to a
// kind of test, and that do not say that they tell a story. Files without a Test function are helpers and bear any name.
func StrayTests(all []Source) []string {
	named := map[string]bool{}
	for _, s := range all {
		if s.Test {
			continue
		}
		named[s.Package+"/"+withoutSystem(strings.TrimSuffix(path.Base(s.Path), ".go"))] = true
	}
	var found []string
	for _, s := range all {
		if name := strings.TrimSuffix(path.Base(s.Path), "_test.go"); s.Test && !belongs(s.Package, name, named) && hasTest(s) {
			found = append(found,
				fmt.Sprintf("%s: no source file of that name: rename it after what it tests, or story_%s_test.go", s.Path, name))
		}
	}
	return found
}

// withoutSystem is a file's name without the system that it is for.
func withoutSystem(name string) string {
	for _, system := range []string{"_linux", "_darwin", "_windows", "_unix", "_other"} {
		if base, ok := strings.CutSuffix(name, system); ok {
			return base
		}
	}
	return name
}

func belongs(folder, name string, named map[string]bool) bool {
	if strings.HasPrefix(name, "story_") || name == path.Base(folder) || named[folder+"/"+withoutSystem(name)] {
		return true
	}
	for _, kind := range kindsOfTest() {
		if name == kind || strings.HasPrefix(name, kind+"_") || strings.HasSuffix(name, "_"+kind) {
			return true
		}
	}
	return false
}

func hasTest(s Source) bool {
	for _, d := range s.File.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") && fn.Name.Name != "TestMain" {
			return true
		}
	}
	return false
}
