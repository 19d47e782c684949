package kit

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Lab is a laboratory: a folder of build/labs and its row in build/labs/labs.go. `make lab-<name>` runs its full form; the test
// in its folder runs the short one, so that `make test` tells the laboratories apart when one fails, and how long each took.
type Lab struct {
	Name    string        // its folder
	Promise string        // what it shows, in one line, for `make` and build/README.md
	Needs   []string      // tools, by their names in [Tools], or "root"
	Takes   time.Duration // the full form, about; whole minutes
	Limit   time.Duration // after which the full form is taken down
	Quiet   bool          // times are measured: nothing else should run then, and the laboratory goes before other processes

	Short func(*Env, *Table) error // half a minute, and no goal that a busy machine misses: see [Table.Brief]
	Full  func(*Env, *Table) error
}

// Target is what `make` calls it, and the name of its table in dist/results.
func (l Lab) Target() string { return "lab-" + l.Name }

// Row is its line of the table in build/README.md, from which `make` takes its own.
func (l Lab) Row() string {
	needs := l.Needs
	if len(needs) == 0 {
		needs = []string{"Go"}
	}
	if l.Quiet {
		needs = append(needs[:len(needs):len(needs)], "a quiet machine")
	}
	return fmt.Sprintf("| `make %s` | %s | %.0f min | %s |", l.Target(), strings.Join(needs, ", "), l.Takes.Minutes(), l.Promise)
}

// Test runs the short form as a test, which is skipped where a tool is missing, as [Need] says.
func (l Lab) Test(t *testing.T) {
	t.Helper()
	Need(t, l.Needs...)
	table := NewTable(l.Target()).Brief()
	if err := l.Short(Test(t, l.limit(t)), table); err != nil {
		t.Error(err)
	}
	table.Judge(t)
}

// limit is half of what go test gives the package, so that a run that hangs is taken down in order and its processes' last lines
// are printed; and the full form's limit where go test gives no end.
func (l Lab) limit(t *testing.T) time.Duration {
	end, ok := t.Deadline()
	if !ok {
		return l.Limit
	}
	return time.Until(end) / 2
}

// Judge logs the table of a test, and each missed goal as a failure.
func (t *Table) Judge(tb testing.TB) {
	tb.Helper()
	var text strings.Builder
	if err := t.Print(&text); err != nil {
		tb.Error(err)
	}
	tb.Log(text.String())
	for _, row := range t.Missed() {
		tb.Errorf("%s: %v %s, goal %s: %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
	}
}
