package uplink

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestUplink(t *testing.T) {
	kit.Need(t, Tools()...)
	o := Short()
	if only := os.Getenv("LAB_UPLINK_ONLY"); only != "" { // for a person at work on one cell
		all, seen := append(o.cells, Full().cells...), map[string]bool{}
		o.cells = nil
		for _, c := range all {
			if strings.Contains(c.name, only) && !seen[c.name] {
				o.cells, seen[c.name] = append(o.cells, c), true
			}
		}
	}
	table := kit.NewTable("lab-uplink").Brief()
	if err := Run(kit.Test(t, 20*time.Minute), o, table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Rows {
		t.Logf("%s: %.3f %s %s", row.Name, row.Value, row.Unit, row.Note)
	}
	for _, row := range table.Missed() {
		t.Errorf("%s: %v %s, goal %s: %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
	}
}
