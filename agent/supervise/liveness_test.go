package supervise

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestLivenessNamesTheStuckLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Liveness
		waiting, busy := p.Loop("commands"), p.Loop("pump")
		waiting.Begin()
		waiting.End()
		busy.Begin()
		time.Sleep(StuckAfter)
		if err := p.Check(time.Now()); err != nil {
			t.Fatalf("at the limit: %v", err)
		}
		time.Sleep(time.Second)
		if err := p.Check(time.Now()); err == nil || !strings.Contains(err.Error(), "pump") {
			t.Fatalf("%v", err)
		}
		busy.End()
		if err := p.Check(time.Now()); err != nil {
			t.Fatal(err)
		}
	})
}
