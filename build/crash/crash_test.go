package crash

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

func TestKillsLoseNothingThatWasAccepted(t *testing.T) {
	kit.Need(t, "mosquitto")
	for _, o := range []Options{
		{Label: "always", Kills: 3, Stops: 1, WriteAfter: "0s", Sync: "always"},
		{Label: "defaults", Kills: 3, Stops: 1},
	} {
		t.Run(o.Label, func(t *testing.T) {
			e := kit.Test(t, 2*time.Minute)
			table := kit.NewTable("crash")
			if err := Run(e, o, table); err != nil {
				t.Fatal(err)
			}
			for _, row := range table.Missed() {
				t.Errorf("%s: %v %s, goal %s: %s", row.Name, row.Value, row.Unit, row.Goal, row.Note)
			}
		})
	}
}
