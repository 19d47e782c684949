package relay

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
	all, disk, err := compare(e, b, Options{Rounds: 1, Frames: 2000, Paced: 200})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*side{"bare loop": all.limit, "linkbeat": all.ours} {
		if s.perSecond[0] <= 0 || s.p50[0] <= 0 || s.p99[0] < s.p50[0] {
			t.Errorf("%s: %v frames/s, latency p50 %v p99 %v", name, s.perSecond, s.p50, s.p99)
		}
	}
	if disk != 0 {
		t.Errorf("%v bytes to disk per payload byte while online with the defaults, want 0", disk)
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
