package agent

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPulsesNameTheStuckLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pulses
		waiting, busy := p.of("commands"), p.of("pump")
		waiting.begin()
		waiting.end()
		busy.begin()
		time.Sleep(stuckAfter)
		if err := p.check(time.Now()); err != nil {
			t.Fatalf("at the limit: %v", err)
		}
		time.Sleep(time.Second)
		if err := p.check(time.Now()); err == nil || !strings.Contains(err.Error(), "pump") {
			t.Fatalf("%v", err)
		}
		busy.end()
		if err := p.check(time.Now()); err != nil {
			t.Fatal(err)
		}
	})
}
