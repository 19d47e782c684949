package modbus

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestAgainstLibmodbusAndMbpoll(t *testing.T) {
	kit.Need(t, Tools()...)
	t.Parallel() // it mostly waits
	table := kit.NewTable("lab-modbus").Brief()
	if err := Run(kit.Test(t, 8*time.Minute), Short(), table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Rows {
		t.Logf("%s: %v %s (goal %s) %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
	}
	for _, row := range table.Missed() {
		t.Errorf("%s: %v %s, goal %s: %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
	}
}
