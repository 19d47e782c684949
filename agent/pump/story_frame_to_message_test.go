package pump

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// BenchmarkFrameToMessage is what the agent itself adds to a frame on its way up: into the spool, out of it, into its
// envelope, committed.
func BenchmarkFrameToMessage(b *testing.B) {
	s, err := spool.Open(spool.Dir(b.TempDir()), spool.Options{WriteAfter: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	rs := NewRoutes("up/{name}", "")
	rs.Set(map[string]Route{"meter": {Topic: "up/meter"}})
	l := newLane(s, frames{clock: clock.New(time.Time{}), routes: rs})
	data := make([]byte, 100)
	for i := range data {
		data[i] = 'a' + byte(i%26)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = record.Stored{Stamp: clock.Stamp{Wall: 1795208591123}, Encoding: wire.Text, Data: data}.Append(buf[:0])
		if _, err := s.Append("meter", buf); err != nil {
			b.Fatal(err)
		}
		p, _, err := l.live.take(time.Now(), how{})
		if err != nil || p == nil {
			b.Fatal(err)
		}
		if err := s.Ack(p.positions...); err != nil {
			b.Fatal(err)
		}
	}
}
