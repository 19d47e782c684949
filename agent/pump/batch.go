package pump

import (
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
)

// Batching is how many records of a device travel in one publish. The zero value: each travels alone.
type Batching struct {
	Frames int           // at most; 0 or 1: no batches
	Delay  time.Duration // a batch that is not full waits this long for more
	Bytes  int           // of payload, at most, before compression
}

func (b Batching) on() bool { return b.Frames > 1 }

// Route is where and how the records of one device travel.
type Route struct {
	Topic  string
	Format wire.Format
	Batch  Batching
	Gzip   bool
	Cause  transport.Cause
}

// Published is the topic that the records go to.
func (r Route) Published() string {
	if r.Gzip {
		return r.Topic + wire.GzipSuffix
	}
	return r.Topic
}

// message is payload on its way.
func (r Route) message(payload []byte) transport.Message {
	if r.Gzip {
		payload = wire.Gzip(payload)
	}
	return transport.Message{Topic: r.Published(), Payload: payload, QoS: 1, Cause: r.Cause}
}

// batch gathers records of one device.
type batch struct {
	route     Route
	seq       spool.Seq // of the first record
	begun     time.Time // when the first was taken from the spool
	oldest    time.Time // when it came into it
	records   [][]byte  // bytes of one each, see [wire.Format]
	positions []spool.Pos
	bytes     int // of the payload, at most
}

func (b *batch) fits(record []byte) bool {
	return len(b.records) == 0 || b.bytes+1+len(record) <= b.route.Batch.Bytes
}

func (b *batch) add(p spool.Pos, record []byte) {
	b.records, b.positions = append(b.records, record), append(b.positions, p)
	b.bytes += 1 + len(record) // see [wire.Format.Join]
	if len(b.records) == 1 {
		b.bytes++
	}
}

func (b *batch) full() bool {
	return len(b.records) >= b.route.Batch.Frames || b.bytes >= b.route.Batch.Bytes
}

func (b *batch) message() transport.Message {
	return b.route.message(b.route.Format.Join(make([]byte, 0, b.bytes), b.records...))
}
