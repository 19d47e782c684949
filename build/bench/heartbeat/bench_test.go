package heartbeat

import (
	"os"
	"testing"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// TestTable makes the short table; with BENCH_HEARTBEAT set to a folder, the full one, and saves it there: bubbles of fake time
// need a test around them. build/tools/show calls it so.
func TestTable(t *testing.T) {
	scope, dir := Short(), os.Getenv("BENCH_HEARTBEAT")
	if dir != "" {
		scope = Full()
	}
	table := kit.NewTable("bench-heartbeat")
	Table(t, scope, table)
	if err := table.Print(os.Stdout); err != nil {
		t.Error(err)
	}
	if dir != "" {
		if err := table.Save(dir); err != nil {
			t.Error(err)
		}
		return // what was missed is said by who called
	}
	for _, row := range table.Missed() {
		t.Errorf("%s: %v %s, goal %s: %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
	}
}
