package pump

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/config"
)

// What linkbeat check says about batches is what the pump does.
func TestTheLongestBatchIsTheOneThatCheckKnows(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, 4 * time.Second, 5 * time.Second, time.Hour} {
		s, err := spool.Open(spool.Dir(t.TempDir()), spool.Options{WriteAfter: after})
		if err != nil {
			t.Fatal(err)
		}
		want := config.Spool{WriteAfter: config.Duration(after)}.LongestBatch().Std()
		if got := newLane(s, frames{}).longest; got != want {
			t.Errorf("write_after %v: %v, check says %v", after, got, want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
