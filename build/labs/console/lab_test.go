package console

import (
	"os"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestAConsoleOverASlowPath(t *testing.T) {
	kit.Need(t, Tools()...)
	table := kit.NewTable("console").Brief()
	err := Run(kit.Test(t, 8*time.Minute), Short(), table)
	_ = table.Print(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Missed() {
		t.Errorf("%s: %v %s, goal %s: %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
	}
}
