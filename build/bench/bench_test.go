package bench

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// TestTheBenchRuns keeps the harness of `make bench-relay` working; its goals are judged there, on a quiet machine.
func TestTheBenchRuns(t *testing.T) {
	kit.Need(t, "mosquitto")
	e := kit.Test(t, 2*time.Minute)
	b, err := e.Broker(kit.BrokerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Frames: 2000, PacedFrames: 200}
	limit, err := runBare(e, b, o)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := runAgent(e, b, o)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range map[string]float64{"bare throughput": limit.perSecond, "bare p99": limit.p99,
		"throughput": ours.perSecond, "p99": ours.p99} {
		if v <= 0 {
			t.Errorf("%s = %v, want a figure", name, v)
		}
	}
	if ours.disk != 0 {
		t.Errorf("%v bytes to disk per payload byte while online with the defaults, want 0", ours.disk)
	}
}

func TestPercentile(t *testing.T) {
	var d []time.Duration
	for i := range 100 {
		d = append(d, time.Duration(100-i)*time.Millisecond)
	}
	if p50, p99 := percentile(d, 50), percentile(d, 99); p50 != 51 || p99 != 100 {
		t.Errorf("p50 %v p99 %v, want 51 and 100", p50, p99)
	}
}
