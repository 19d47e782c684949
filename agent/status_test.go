package agent

import (
	"reflect"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport"
)

// TestTheHeartbeatIsToldWhole fills in all that a link says of its beat, and wants nothing of the status left empty.
func TestTheHeartbeatIsToldWhole(t *testing.T) {
	link := transport.Status{Interval: 8 * time.Second, Pings: 9, Heartbeat: transport.HeartbeatStatus{
		Interval: time.Second, Proven: 2 * time.Second, Failing: 3 * time.Second, Remembered: 4 * time.Second, Phase: "learning",
		Evidence: "inbound", Path: "eth0", Kind: "loose", Reason: "because", Open: 1, Probes: 2, Sessions: 3, Canaries: 4,
		Shrinks: 5, Budget: 6, Cost: 7}}
	for f, value := range reflect.ValueOf(link.Heartbeat).Fields() {
		if value.IsZero() {
			t.Errorf("this test does not know %s", f.Name)
		}
	}
	h := heartbeatStatus(link)
	for f, value := range reflect.ValueOf(h).Fields() {
		if value.IsZero() {
			t.Errorf("%s is empty", f.Name)
		}
	}
	if h.IntervalS != 8 || h.ProvenS != 2 || h.FailingS != 3 || h.RememberedS != 4 || h.CostBytes != 7 || h.BudgetBytes != 6 ||
		h.Sessions != 3 || h.Probes != 2 {
		t.Errorf("%+v", h)
	}
}
