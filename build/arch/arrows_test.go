package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// A package whose files use each other by a function, a method of a type and a field; a parameter of the same name is none.
func TestReferencesOfAModule(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module " + module[:len(module)-1] + "\n\ngo 1.26\n",
		"p/top.go": "package p\n\nimport \"strings\"\n\n// Top is above.\n" +
			"func Top() string { return strings.ToUpper(low().name) }\n",
		"p/low.go":     "package p\n\ntype thing struct{ name string }\n\nfunc low() thing { return thing{} }\n",
		"p/method.go":  "package p\n\nfunc (t thing) again(top int) string { _ = top; return Top() }\n",
		"p/p_test.go":  "package p\n\nvar _ = low\n",
		"p/other.go":   "//go:build ignore\n\npackage p\n\nvar _ = low\n",
		"q/lonely.go":  "package q\n\nimport \"" + module + "p\"\n\nvar _ = p.Top\n",
		"q/q_test.go":  "package q\n",
		"q/another.go": "package q\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := References(dir)
	if err != nil {
		t.Fatal(err)
	}
	// top → low, method → low (its receiver), method → top.
	if p := got["p"]; p.All != 3 || p.Back != 0 || !slices.Equal(p.Floors, []string{"method.go", "top.go", "low.go"}) {
		t.Errorf("p: %+v, want 3 arrows, none back, method above top above low", p)
	}
	if q := got["q"]; q.All != 0 || q.Back != 0 || len(q.Floors) != 2 {
		t.Errorf("q: %+v, want no arrow: another package's names do not count", q)
	}
}

func TestReferencesOfWhatDoesNotBuild(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module " + module[:len(module)-1] + "\n\ngo 1.26\n",
		"p.go": "package p\n\nvar x = nobody\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := References(dir); err == nil {
		t.Errorf("no error, but %+v: figures of a broken tree would be wrong", got)
	}
}
