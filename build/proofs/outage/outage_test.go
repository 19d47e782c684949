package outage

import (
	"slices"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

func TestADeadBrokerIsNoticed(t *testing.T) {
	kit.Need(t, "mosquitto")
	o := Short()
	o.Survived = nil
	o.Noticed = slices.DeleteFunc(o.Noticed, func(n Noticed) bool { return n.Death != frozen })
	show(t, o)
}

func TestASilentPathIsNoticedAndCutsAreSurvived(t *testing.T) {
	kit.Need(t, append(netlab.Tools(), "mosquitto")...)
	o := Short()
	o.Noticed = slices.DeleteFunc(o.Noticed, func(n Noticed) bool { return n.Death != silent })
	show(t, o)
}

func show(t *testing.T, o Options) {
	t.Helper()
	t.Parallel() // both mostly wait
	table := kit.NewTable("outage").Brief()
	if err := Run(kit.Test(t, 4*time.Minute), o, table); err != nil {
		t.Fatal(err)
	}
	table.Judge(t)
}
