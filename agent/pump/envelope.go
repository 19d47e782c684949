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

func (f frames) encode(r spool.Record, now time.Time) (*item, error) {
	rt := f.routes.of(r.Stream)
	if r.Gap != nil {
		if rt.Raw {
			return nil, nil // a reader of bare bytes cannot know a gap from a frame
		}
		rec := wire.Record{Seq: uint64(r.Seq), TS: r.Time.UnixMilli(), Epoch: r.Epoch, Unsynced: f.clock.Unset(),
			Gap: &wire.Gap{From: uint64(r.Gap.From), To: uint64(r.Gap.To), Reason: string(r.Gap.Reason)}}
		if r.Gap.Epoch != r.Epoch {
			rec.Gap.Epoch = r.Gap.Epoch
		}
		return f.item(r, rec, rt, nil), nil
	}
	s, err := record.Parse(r.Data)
	if err != nil {
		return nil, fmt.Errorf("record %d of %q: %w", r.Seq, r.Stream, err)
	}
	if s.Raw {
		rt.Batch = Batching{} // bytes alone have no array to be in
		return &item{append([]byte(nil), s.Data...), rt}, nil
	}
	ts, unsynced := f.clock.Resolve(s.Stamp)
	rec := wire.Record{Seq: uint64(r.Seq), TS: ts, Epoch: r.Epoch, Unsynced: unsynced,
		Late: now.UnixMilli()-ts > lateAfter.Milliseconds()}
	rt.SenML = s.SenML // as it was when it was read
	if !s.Values {
		rec.Body, _ = wire.NewBody(s.Data, s.Encoding)
		return f.item(r, rec, rt, nil), nil
	}
	var m record.Measured
	if err := json.Unmarshal(s.Data, &m); err != nil || m.IsZero() {
		return nil, fmt.Errorf("record %d of %q: stored values cannot be read: %w", r.Seq, r.Stream, err)
	}
	rec.Measured = m.Measured
	return f.item(r, rec, rt, m.Units), nil
}

// item is a record in the format of its route.
func (f frames) item(r spool.Record, rec wire.Record, rt Route, units map[string]string) *item {
	if rt.SenML {
		return &item{rec.AppendSenML(nil, wire.SenMLBase(f.routes.id, r.Stream), units), rt}
	}
	return &item{rec.Append(nil), rt}
}

// replies encodes the records of the reply spool, which hold their payload and the name that makes their topic.
type replies struct {
	topic string // template of the reply topic, with {name}
}

func (e replies) encode(r spool.Record, _ time.Time) (*item, error) {
	if r.Gap != nil {
		return nil, nil // who waits for an answer has a timeout; a gap in answers has no topic
	}
	name, payload, err := record.ParseReply(r.Data)
	if err != nil {
		return nil, fmt.Errorf("reply %d: %w", r.Seq, err)
	}
	return &item{append([]byte(nil), payload...), Route{Topic: wire.Expand(e.topic, "name", name), Cause: transport.CauseCmd}}, nil
}
