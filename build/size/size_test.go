package size

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// TestBinaryFitsItsBudget is the quick half of `make size`; memory is watched there.
func TestBinaryFitsItsBudget(t *testing.T) {
	b, err := ReadBudgets()
	if err != nil {
		t.Fatal(err)
	}
	table := kit.NewTable("size")
	if err := Binary(kit.Test(t, 5*time.Minute), b, table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Missed() {
		t.Errorf("%s: %.2f %s, budget %s", row.Name, row.Value, row.Unit, row.Goal)
	}
}
