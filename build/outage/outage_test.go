package outage

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/lab"
)

func TestOutagesAreNoticedAndCutsSurvived(t *testing.T) {
	kit.Need(t, append(lab.Tools(), "mosquitto")...)
	e := kit.Test(t, 4*time.Minute)
	table := kit.NewTable("outage")
	if err := Run(e, Short(), table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Missed() {
		t.Errorf("%s: %v %s, goal %s: %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
	}
}
