package kit

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

// Row is one figure, with its goal when it has one.
type Row struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  string  `json:"goal,omitempty"`
	OK    bool    `json:"ok"`
	Note  string  `json:"note,omitempty"`
}

// Table is the result of one `make` target. Safe for concurrent use.
type Table struct {
	Target string    `json:"target"`
	Time   time.Time `json:"time"`
	Host   string    `json:"host"`
	Says   []string  `json:"says,omitempty"` // sentences: what exactly was checked

	mu    sync.Mutex
	Rows  []Row `json:"rows"`
	brief bool
}

// NewTable starts a table.
func NewTable(target string) *Table {
	return &Table{Target: target, Time: time.Now().UTC(), Host: fmt.Sprintf("%s/%s, %d CPUs", runtime.GOOS, runtime.GOARCH,
		runtime.NumCPU())}
}

// Brief makes it the table of a short form, which `make test` runs beside other tests on whatever machine there is: Within and
// NoSlower show figures there, and the full form judges them. It returns the table.
func (t *Table) Brief() *Table {
	t.brief = true
	return t
}

func (t *Table) add(r Row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Rows = append(t.Rows, r)
}

// AtMost records a figure that must not exceed limit.
func (t *Table) AtMost(name string, v, limit float64, unit string) {
	t.add(Row{Name: name, Value: v, Unit: unit, Goal: "≤ " + number(limit), OK: v <= limit})
}

// AtLeast records a figure that must reach limit.
func (t *Table) AtLeast(name string, v, limit float64, unit string) {
	t.add(Row{Name: name, Value: v, Unit: unit, Goal: "≥ " + number(limit), OK: v >= limit})
}

// Within records a time that must not exceed limit, or a count of what came too late; see Brief.
func (t *Table) Within(name string, v, limit float64, unit string) {
	if t.brief {
		t.Info(name, v, unit)
		return
	}
	t.AtMost(name, v, limit, unit)
}

// NoSlower records how much was done in a given time, which must reach limit; see Brief.
func (t *Table) NoSlower(name string, v, limit float64, unit string) {
	if t.brief {
		t.Info(name, v, unit)
		return
	}
	t.AtLeast(name, v, limit, unit)
}

// Exactly records a count that must be want; note tells the first thing that was wrong.
func (t *Table) Exactly(name string, v, want int, unit, note string) {
	t.add(Row{Name: name, Value: float64(v), Unit: unit, Goal: "= " + strconv.Itoa(want), OK: v == want, Note: note})
}

// Info records a figure without a goal.
func (t *Table) Info(name string, v float64, unit string) {
	t.add(Row{Name: name, Value: v, Unit: unit, OK: true})
}

// Check records a yes or no; err says why it is no.
func (t *Table) Check(name string, err error) {
	r := Row{Name: name, Value: 1, Unit: "yes/no", Goal: "= 1", OK: err == nil}
	if err != nil {
		r.Value, r.Note = 0, err.Error()
	}
	t.add(r)
}

// Say adds a sentence on what the figures mean.
func (t *Table) Say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.Says = append(t.Says, fmt.Sprintf(format, args...))
}

// Missed lists the rows whose goal was missed.
func (t *Table) Missed() []Row {
	t.mu.Lock()
	defer t.mu.Unlock()
	var missed []Row
	for _, r := range t.Rows {
		if !r.OK {
			missed = append(missed, r)
		}
	}
	return missed
}

// Print writes the table for people.
func (t *Table) Print(w io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	fmt.Fprintf(w, "\n%s (%s)\n", t.Target, t.Host)
	for _, s := range t.Says {
		fmt.Fprintf(w, "  %s\n", s)
	}
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(tw, "  name\tvalue\tunit\tgoal\tok")
	for _, r := range t.Rows {
		ok := map[bool]string{true: "ok", false: "MISSED"}[r.OK]
		if r.Goal == "" {
			ok = ""
		}
		fmt.Fprintf(tw, "  %s\t%s\t%s\t%s\t%s\n", r.Name, number(r.Value), r.Unit, r.Goal, ok)
	}
	if err := tw.Flush(); err != nil {
		return fmt.Errorf("print the table: %w", err)
	}
	for _, r := range t.Rows {
		if r.Note != "" {
			fmt.Fprintf(w, "  %s: %s\n", r.Name, strings.ReplaceAll(r.Note, "\n", "\n    "))
		}
	}
	return nil
}

// Save writes dir/<target>.json.
func (t *Table) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	b, err := json.MarshalIndent(t, "", "  ")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, t.Target+".json"), append(b, '\n'), 0o644)
	}
	if err != nil {
		return fmt.Errorf("results: %w", err)
	}
	return nil
}

func number(v float64) string {
	if v == float64(int64(v)) {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'f', 3, 64)
}
