package heartbeat

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

func TestLearnsBehindARealNAT(t *testing.T) {
	kit.Need(t, append(netlab.NATTools(), "mosquitto")...)
	table := kit.NewTable("lab-heartbeat").Brief()
	if err := Run(kit.Test(t, 4*time.Minute), Short(), table); err != nil {
		t.Fatal(err)
	}
	for _, row := range table.Rows {
		t.Logf("%s: %v %s", row.Name, row.Value, row.Unit)
	}
	for _, row := range table.Missed() {
		t.Errorf("%s: %v %s, goal %s: %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
	}
}
