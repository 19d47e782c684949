package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func sources(t *testing.T) []Source {
	t.Helper()
	root, err := kit.Root()
	if err != nil {
		t.Fatal(err)
	}
	all, err := Load(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no Go files found")
	}
	return all
}

func TestImportsFollowTheArrows(t *testing.T) {
	rules := map[string]Rule{}
	for _, r := range Rules() {
		rules[r.Package] = r
	}
	for _, s := range sources(t) {
		if s.Test || anyWithin(s.Package, Outside()) {
			continue
		}
		r, ok := rules[s.Package]
		if !ok {
			t.Errorf("%s: package %s has no rule: say in build/arch/rules.go where it stands and why", s.Path, s.Package)
			continue
		}
		for _, path := range s.Imports {
			if what := r.breach(path); what != "" {
				t.Errorf("%s imports %s: %s. Why: %s", s.Path, path, what, r.Why)
			}
		}
	}
}

// breach tells what is wrong with an import; empty when it is allowed.
func (r Rule) breach(path string) string {
	own, isOwn := strings.CutPrefix(path, module)
	switch {
	case isOwn && !slices.Contains(r.Own, own):
		return "no such arrow in rules.go"
	case isOwn:
		return ""
	case !standard(path) && !anyWithin(path, r.Others):
		return "this package may not import that module"
	case !standard(path):
		return ""
	case r.Std != nil && !slices.Contains(r.Std, path):
		return "a pure package, and this is not on its short list"
	case anyWithin(path, r.NotStd):
		return "kept out of this package"
	}
	return ""
}

func TestModulesStayWhereTheyBelong(t *testing.T) {
	for _, s := range sources(t) {
		if s.Test {
			continue
		}
		for _, path := range s.Imports {
			for mod, homes := range OnlyFor() {
				if within(path, mod) && !anyWithin(s.Package, homes) {
					t.Errorf("%s imports %s, which belongs only to %v (and tests)", s.Path, path, homes)
				}
			}
		}
	}
}

func TestProductTestsImportNoSiblings(t *testing.T) {
	// A unit test may import its own package's relatives and the test helpers; the rest is for build/proofs/e2e.
	for _, s := range sources(t) {
		if !s.Test || anyWithin(s.Package, Outside()) {
			continue
		}
		for _, path := range s.Imports {
			if within(path, module+"build") {
				t.Errorf("%s imports %s: product tests do not lean on the build folder", s.Path, path)
			}
		}
	}
}

func TestRulesNameOnlyPackagesOfTheDesign(t *testing.T) {
	known := map[string]bool{}
	for _, r := range Rules() {
		if r.Why == "" {
			t.Errorf("rule of %s gives no reason", r.Package)
		}
		known[r.Package] = true
	}
	for _, r := range Rules() {
		for _, own := range r.Own {
			if !known[own] {
				t.Errorf("rule of %s allows %s, which has no rule itself", r.Package, own)
			}
		}
	}
}

func TestEveryRuleHasAPackage(t *testing.T) {
	there := map[string]bool{}
	for _, s := range sources(t) {
		there[s.Package] = there[s.Package] || !s.Test
	}
	for _, r := range Rules() {
		if !there[r.Package] {
			t.Errorf("rules.go has a rule of %s, which has no source file: take it out", r.Package)
		}
	}
}

func TestEveryAllowedArrowIsUsed(t *testing.T) {
	imports := map[string][]string{} // by package
	for _, s := range sources(t) {
		if !s.Test {
			imports[s.Package] = append(imports[s.Package], s.Imports...)
		}
	}
	used := func(pkg, path string, exact bool) bool {
		return slices.ContainsFunc(imports[pkg], func(i string) bool { return i == path || !exact && within(i, path) })
	}
	for _, r := range Rules() {
		for _, own := range r.Own {
			if !used(r.Package, module+own, true) {
				t.Errorf("rules.go lets %s import %s, and no file of it does: take the arrow out", r.Package, own)
			}
		}
		for _, other := range r.Others {
			if !used(r.Package, other, false) {
				t.Errorf("rules.go lets %s import %s, and no file of it does: take it out", r.Package, other)
			}
		}
	}
	for mod, homes := range OnlyFor() {
		for _, home := range homes {
			if !slices.ContainsFunc(slices.Collect(maps.Keys(imports)),
				func(pkg string) bool { return within(pkg, home) && used(pkg, mod, false) }) {
				t.Errorf("rules.go names %s as a home of %s, and no file there imports it: take it out", home, mod)
			}
		}
	}
}

func TestBreach(t *testing.T) {
	rule := Rule{Own: []string{"agent/wire"}, Others: []string{paho}, NotStd: []string{"net"}}
	pure := Rule{Std: []string{"time", "math"}}
	tests := []struct {
		name   string
		rule   Rule
		path   string
		broken bool
	}{
		{"an arrow of the design", rule, module + "agent/wire", false},
		{"no arrow", rule, module + "agent", true},
		{"below an arrow is not the arrow", rule, module + "agent/wire/sub", true},
		{"a module it may have", rule, paho + "/packets", false},
		{"a module it may not have", rule, yaml, true},
		{"standard library", rule, "os", false},
		{"kept out", rule, "net", true},
		{"kept out, below", rule, "net/http", true},
		{"pure, listed", pure, "time", false},
		{"pure, not listed", pure, "sync", true},
		{"pure, no module at all", pure, zerolog, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.rule.breach(tt.path); (got != "") != tt.broken {
				t.Errorf("breach(%q) = %q, want broken %v", tt.path, got, tt.broken)
			}
		})
	}
}
