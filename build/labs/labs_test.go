package labs

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestEveryFolderHasItsRow(t *testing.T) {
	var rows []string
	for _, l := range All() {
		rows = append(rows, l.Name)
		if l.Promise == "" || l.Takes <= 0 || l.Limit <= l.Takes || l.Short == nil || l.Full == nil {
			t.Errorf("%s: a promise, how long it takes, a limit above that, a short and a full form are needed", l.Name)
		}
		if _, err := kit.ToInstall(l.Needs); err != nil {
			t.Errorf("%s: %v", l.Name, err)
		}
	}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		if !slices.Contains(rows, e.Name()) {
			t.Errorf("build/labs/%s has no row in labs.go", e.Name())
		}
		b, err := os.ReadFile(filepath.Join(e.Name(), "lab_test.go"))
		if err != nil || !strings.Contains(string(b), "Lab()") {
			t.Errorf("build/labs/%s/lab_test.go does not run the short form by Lab().Test(t): %v", e.Name(), err)
		}
	}
}

// `make` takes its lines out of the README, which so may not differ from the table.
func TestTheREADMEHasTheirTable(t *testing.T) {
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, line := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(line, "| `make lab-") {
			got = append(got, line)
		}
	}
	for _, l := range All() {
		want = append(want, l.Row())
	}
	if !slices.Equal(got, want) {
		t.Errorf("build/README.md has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
