package ports

import (
	"os"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestAPortIsFoundAgain(t *testing.T) {
	o := Short()
	if os.Geteuid() != 0 {
		t.Log("without root no uevents can be made: only looking twice a second is shown")
		o.Heard = 0
	}
	table := kit.NewTable("ports").Brief()
	if err := Run(kit.Test(t, 4*time.Minute), o, table); err != nil {
		t.Fatal(err)
	}
	_ = table.Print(os.Stderr)
	for _, row := range table.Missed() {
		t.Errorf("%s: %v %s, goal %s: %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
	}
}
