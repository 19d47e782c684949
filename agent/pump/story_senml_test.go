package pump

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool/spooltest"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// A record in SenML is a pack of its own, and the records of a batch make one pack: each begins with the base of its own.
func TestSenMLPacks(t *testing.T) {
	for name, b := range map[string]Batching{"alone": {}, "in a batch": {Frames: 2, Delay: time.Minute, Bytes: 4096}} {
		t.Run(name, func(t *testing.T) {
			s := spooltest.Open(t)
			rs := NewRoutes("up/{name}", "gw 7")
			rs.Set(map[string]Route{"meter": {Topic: "up/meter", Format: wire.SenML, Batch: b}})
			for _, ms := range []int64{1795208599000, 1795208600500} {
				if _, err := s.Append("meter", polled(clock.Stamp{Wall: ms}, wire.SenML).Append(nil)); err != nil {
					t.Fatal(err)
				}
			}
			l := newLane(s, frames{clock: clock.Clock{Now: time.Now}, routes: rs})
			p, bad, err := l.live.take(time.Now(), how{})
			if p == nil || bad != nil || err != nil {
				t.Fatalf("%v, %v, %v", p, bad, err)
			}
			var entries []map[string]any
			if err := json.Unmarshal(p.message.Payload, &entries); err != nil {
				t.Fatalf("%v: %s", err, p.message.Payload)
			}
			records := 1
			if b.on() {
				records = 2
			}
			if len(entries) != 3*records || entries[0]["bn"] != "gw_7/meter/" || entries[1]["bn"] != nil ||
				entries[1]["u"] != "V" {
				t.Fatalf("%s", p.message.Payload)
			}
			if b.on() && (entries[3]["bn"] != "gw_7/meter/" || entries[3]["bt"].(float64) != 1795208600.5) {
				t.Fatalf("%s", p.message.Payload)
			}
		})
	}
}

// Frames that were read as raw wait when a reload makes their device senml: they are bare bytes all the same.
func TestRawFramesStayBareInAPackOfNow(t *testing.T) {
	s := spooltest.Open(t)
	rs := NewRoutes("up/{name}", "gw")
	rs.Set(map[string]Route{"meter": {Topic: "up/meter", Format: wire.SenML,
		Batch: Batching{Frames: 3, Delay: time.Minute, Bytes: 4096}}})
	if _, err := s.Append("meter", record.Stored{Format: wire.Raw, Data: []byte("bare")}.Append(nil)); err != nil {
		t.Fatal(err)
	}
	l := newLane(s, frames{clock: clock.Clock{Now: time.Now}, routes: rs})
	p, _, err := l.live.take(time.Now(), how{})
	if err != nil || p == nil || string(p.message.Payload) != "bare" {
		t.Fatalf("%+v, %v", p, err)
	}
}

// A reload may change the format while a batch gathers.
func TestAPackHoldsNothingElse(t *testing.T) {
	s := spooltest.Open(t)
	rs := NewRoutes("up/{name}", "gw")
	rs.Set(map[string]Route{"meter": {Topic: "up/meter", Batch: Batching{Frames: 3, Delay: time.Minute, Bytes: 4096}}})
	for i := range 4 {
		if _, err := s.Append("meter", polled(clock.Stamp{Wall: 1795208599000}, []wire.Format{wire.SenML, wire.JSON}[i%2]).
			Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	l := newLane(s, frames{clock: clock.Clock{Now: time.Now}, routes: rs})
	for publishes := 0; publishes < 4; publishes++ {
		p, _, err := l.live.take(time.Now(), how{flush: true})
		if err != nil || p == nil {
			t.Fatalf("%v, %v", p, err)
		}
		_, senML := wire.ParseSenML(p.message.Payload)
		_, ours := wire.ParseRecords(p.message.Payload)
		if (senML == nil) == (ours == nil) {
			t.Errorf("%s is a pack: %v, a batch: %v", p.message.Payload, senML, ours)
		}
	}
}
