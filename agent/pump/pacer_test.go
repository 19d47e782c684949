package pump

import (
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	for _, tt := range []struct {
		name   string
		fixed  int64
		seen   int64
		outage time.Duration // 0: the first session
		want   time.Duration // until 100 records of 824 bytes are on their way
	}{
		{"as fast as allowed", 0, 1 << 20, time.Hour, 36250 * time.Millisecond},
		{"half of what the path carries", 0, 16 << 10, time.Hour, 42500 * time.Millisecond},
		{"never slower than this", 0, 100, time.Hour, 130 * time.Second},
		{"fixed", 4 << 10, 1 << 20, time.Hour, 55 * time.Second},
		{"nothing is known of the path", 0, 0, 0, 36250 * time.Millisecond},
		{"a short outage waits for nobody", 0, 1 << 20, 10 * time.Second, 6250 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := &pacer{fixed: tt.fixed, rate: func() int64 { return tt.seen }, spread: func() float64 { return 0.5 }}
			start := time.Unix(1e9, 0)
			lost := time.Time{}
			if tt.outage > 0 {
				lost = start.Add(-tt.outage)
			}
			p.connected(lost, start)
			if ok, _ := p.may(start.Add(-time.Second), 1<<20, start); !ok {
				t.Error("what is not late is held up")
			}
			now, old := start, start.Add(-time.Hour)
			for range 100 {
				for ok, at := p.may(old, 824, now); !ok; ok, at = p.may(old, 824, now) {
					now = at
				}
			}
			if got := p.spent.Sub(start).Round(10 * time.Millisecond); got != tt.want {
				t.Errorf("took %v, want %v", got, tt.want)
			}
		})
	}
}
