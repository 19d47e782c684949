package main

import (
	"go/parser"
	"go/token"
	"path"
	"strings"
	"testing"
)

func TestTestFilesAreNamedAfterWhatTheyTest(t *testing.T) {
	for _, sentence := range StrayTests(sources(t)) {
		t.Error(sentence)
	}
}

func TestStrayTests(t *testing.T) {
	const test, none = "package a\nfunc TestX(t *testing.T) {}", "package a"
	tests := map[string]struct {
		files map[string]string
		stray int
	}{
		"its source":            {map[string]string{"agent/a.go": none, "agent/a_test.go": test}, 0},
		"of one system":         {map[string]string{"agent/a_linux.go": none, "agent/a_test.go": test}, 0},
		"a story":               {map[string]string{"agent/story_a_test.go": test}, 0},
		"of the package":        {map[string]string{"build/kit/kit_test.go": test}, 0},
		"a kind of test":        {map[string]string{"agent/search_property_test.go": test}, 0},
		"a helper":              {map[string]string{"agent/rig_test.go": none}, 0},
		"of nothing":            {map[string]string{"agent/b.go": none, "agent/a_test.go": test}, 1},
		"of another package":    {map[string]string{"agent/a.go": none, "config/a_test.go": test}, 1},
		"a helper with a test":  {map[string]string{"agent/rig_test.go": test}, 1},
		"a kind within a name":  {map[string]string{"agent/benchmark_test.go": test}, 1},
		"a story without its _": {map[string]string{"agent/storya_test.go": test}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var all []Source
			for file, text := range tt.files {
				fset := token.NewFileSet()
				parsed, err := parser.ParseFile(fset, file, text, parser.ParseComments)
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, Source{Path: file, Package: path.Dir(file), Test: strings.HasSuffix(file, "_test.go"),
					File: parsed, Fset: fset})
			}
			if got := StrayTests(all); len(got) != tt.stray {
				t.Errorf("%d found, want %d: %v", len(got), tt.stray, got)
			}
		})
	}
}
