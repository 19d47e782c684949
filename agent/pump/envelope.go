package pump

import (
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
)

// lateAfter is the age from which a record is marked late.
const lateAfter = 30 * time.Second

// frames encodes the records of the data spool.
type frames struct {
	clock  clock.Clock
	routes *Routes
}

// Routes knows how each device's records travel. Replaced as a whole when the configuration changes; safe for concurrent
// use.
type Routes struct {
	topic string // template of the data topic, with {name}
	id    string // of the gateway
	table atomic.Pointer[map[string]Route]
}

// NewRoutes returns routes without a table; topic is the template of the data topic, with {name}, and id the gateway's.
func NewRoutes(topic, id string) *Routes {
	r := &Routes{topic: topic, id: id}
	r.Set(nil)
	return r
}

// Set replaces the routes, by device.
func (r *Routes) Set(table map[string]Route) { r.table.Store(&table) }

// of returns the route of a device. One that the configuration knows no more gets the plain one: its records still wait in
// the spool.
func (r *Routes) of(device string) Route {
	if rt, ok := (*r.table.Load())[device]; ok {
		return rt
	}
	return Route{Topic: wire.Expand(r.topic, "name", device), Cause: transport.CauseData}
}

func (f frames) encode(r spool.Record, now time.Time) (*encodedRecord, error) {
	rt := f.routes.of(r.Stream)
	rec := wire.DeviceRecord{Record: wire.Record{Seq: uint64(r.Seq), Epoch: r.Epoch}, Gateway: f.routes.id, Name: r.Stream}
	if r.Gap != nil {
		if rt.Format.Bare() {
			return nil, nil // a reader of bare bytes cannot know a gap from a frame
		}
		rec.TS, rec.Unsynced = r.Time.UnixMilli(), f.clock.Unset()
		rec.Gap = &wire.Gap{From: uint64(r.Gap.From), To: uint64(r.Gap.To), Reason: string(r.Gap.Reason)}
		if r.Gap.Epoch != r.Epoch {
			rec.Gap.Epoch = r.Gap.Epoch
		}
		return &encodedRecord{rt.Format.Append(nil, rec), rt}, nil
	}
	s, err := record.Parse(r.Data)
	if err != nil {
		return nil, fmt.Errorf("record %d of %q: %w", r.Seq, r.Stream, err)
	}
	rt.Format = s.Format // as it was when it was read
	if rt.Format.Bare() {
		rt.Batch = Batching{}
	}
	rec.TS, rec.Unsynced = f.clock.Resolve(s.Stamp)
	rec.Late = now.Sub(r.Time) > lateAfter // what has passed: TS is of the clock of then, which may have been set since
	if rec.Frame, rec.Encoding = s.Data, s.Encoding; s.Values {
		var m record.Measured
		if err := json.Unmarshal(s.Data, &m); err != nil || m.IsZero() {
			return nil, fmt.Errorf("record %d of %q: stored values cannot be read: %w", r.Seq, r.Stream, err)
		}
		rec.Measured, rec.Units = m.Measured, m.Units
	}
	return &encodedRecord{rt.Format.Append(nil, rec), rt}, nil
}

func (f frames) topic(stream string) string { return f.routes.of(stream).Published() }

// replies encodes the records of the reply spool, which hold their payload and the name that makes their topic.
type replies struct {
	template string // template of the reply topic, with {name}
}

func (e replies) encode(r spool.Record, _ time.Time) (*encodedRecord, error) {
	if r.Gap != nil {
		return nil, nil // who waits for an answer has a timeout; a gap in answers has no topic
	}
	name, payload, err := record.ParseReply(r.Data)
	if err != nil {
		return nil, fmt.Errorf("reply %d: %w", r.Seq, err)
	}
	return &encodedRecord{append([]byte(nil), payload...), Route{Topic: wire.Expand(e.template, "name", name),
		Cause: transport.CauseCmd}}, nil
}

func (replies) topic(string) string { return "" }
