package pump

import (
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/transport"
)

// readAhead bounds what a lane takes from its spool at a time.
const (
	readAheadRecords = 64
	readAheadBytes   = 64 << 10
)

// A batch that gathers for so long that its records would be written to flash leaves this much earlier: time for its way to
// the broker and back. Of a short write_after it is half.
const leaveEarlier = 2 * time.Second

// maxRuns bounds how far the records that gather in batches lie apart in the spool, in runs of neighbours: the spool keeps
// what is done with between them, and has room for about so many.
const maxRuns = 2000

// publish is one publish and the records that it carries.
type publish struct {
	lane      *lane
	message   transport.Message
	positions []spool.Pos
	seq       spool.Seq // of the first record, for the log
	stream    string
	size      int // bytes of payload, of a batch
}

// lane is one spool on its way up: what was read from it, and what is gathered in batches. Records are acknowledged out of
// order when one device gathers batches and another does not; the spool knows which are. Owned by the pump's loop.
type lane struct {
	name   string // of the spool, for the log
	spool  *spool.Spool
	encode encoder

	read    spool.Pos         // the last position taken from the spool
	ahead   []spool.Record    // taken, not yet in a publish or a batch
	next    int               // index into ahead
	batches map[string]*batch // by stream
	most    map[string]int    // by stream: bytes of a batch, where the server did not take larger ones
	longest time.Duration     // that a batch gathers, whatever its delay; 0: no limit

	vital  bool      // sent even when the budget is used up
	paced  bool      // its old records are sent no faster than the pacer says
	slowed time.Time // until then the next record is held up by it; zero: it is not

	fault   string    // of the last try to read the spool; empty: it can be read
	retryAt time.Time // with fault: when it is read again
}

// encoder turns a record into what is published. Nil with no error: there is nothing to publish.
type encoder interface {
	encode(r spool.Record, now time.Time) (*encodedRecord, error)
}

// encodedRecord is one record ready to be published, alone or in a batch.
type encodedRecord struct {
	bytes []byte // see [wire.Format]
	route Route
}

func newLane(s *spool.Spool, e encoder) *lane {
	wait := s.WriteAfter()
	return &lane{spool: s, encode: e, batches: map[string]*batch{}, most: map[string]int{},
		longest: wait - min(leaveEarlier, wait/2)}
}

// how the next publish is made.
type how struct {
	flush  bool                      // batches that are not full are sent too
	single bool                      // each record alone
	skip   func(r spool.Record) bool // what is held back; nil: nothing
	pace   *pacer                    // of what waited through an outage; nil: it goes at once
}

// take returns the next publish, or nil when nothing is ready to be sent at now. The records that cannot be encoded are
// returned too, with why.
func (l *lane) take(now time.Time, h how) (*publish, *spool.Record, error) {
	l.slowed = time.Time{}
	for {
		if l.next == len(l.ahead) {
			if more, err := l.refill(); err != nil {
				return nil, nil, err
			} else if !more {
				return l.dueBatch(now, true, h.flush), nil, nil
			}
		}
		r := l.ahead[l.next]
		if ok, at := h.pace.may(r.Time, len(r.Data), now); !ok {
			l.slowed = at
			return l.dueBatch(now, true, h.flush), nil, nil
		}
		l.next++
		if h.skip != nil && h.skip(r) {
			continue
		}
		e, err := l.encode.encode(r, now)
		if err != nil {
			return nil, &r, err
		}
		if e == nil {
			if err := l.spool.Ack(r.Pos); err != nil {
				return nil, nil, err
			}
			continue
		}
		if p := l.pack(r, e, now, h.single); p != nil {
			return p, nil, nil
		}
		if p := l.dueBatch(now, false, false); p != nil {
			return p, nil, nil
		}
	}
}

// refill takes more from the spool; false when there is no more.
func (l *lane) refill() (bool, error) {
	ahead, err := l.spool.Peek(l.read, l.ahead[:0], readAheadRecords, readAheadBytes)
	l.ahead, l.next = ahead, 0
	if len(ahead) > 0 {
		l.read = ahead[len(ahead)-1].Pos
	}
	return len(ahead) > 0, err
}

// pack makes a publish of one record, or adds it to its device's batch and returns that when it is full.
func (l *lane) pack(r spool.Record, e *encodedRecord, now time.Time, single bool) *publish {
	if !e.route.Batch.on() {
		payload := e.route.Format.Single(e.bytes)
		return &publish{lane: l, message: e.route.message(payload), positions: []spool.Pos{r.Pos}, seq: r.Seq, stream: r.Stream}
	}
	var p *publish
	if b := l.batches[r.Stream]; b != nil && (!b.fits(e.bytes) || b.route.Format != e.route.Format) {
		p = l.ship(r.Stream) // this one opens the next batch
	}
	b := l.batches[r.Stream]
	if b == nil {
		b = &batch{route: e.route, seq: r.Seq, begun: now, oldest: r.Time}
		if n := l.most[r.Stream]; n > 0 {
			b.route.Batch.Bytes = min(b.route.Batch.Bytes, n)
		}
		l.batches[r.Stream] = b
	}
	b.add(r.Pos, e.bytes)
	if p == nil && (single || b.full() || l.runs() > maxRuns) {
		p = l.ship(r.Stream)
	}
	return p
}

// runs is how many runs of neighbours the gathering records make, at most.
func (l *lane) runs() (n int) {
	for _, b := range l.batches {
		n += b.runs
	}
	return n
}

// dueBatch returns a batch that has gathered long enough, or any with flush. idle: there is nothing else to send.
func (l *lane) dueBatch(now time.Time, idle, flush bool) *publish {
	for stream, b := range l.batches {
		if flush || !now.Before(l.due(b, idle)) {
			return l.ship(stream)
		}
	}
	return nil
}

// due is when a batch leaves. It counts from when its first record was taken, so that the batches of a backlog are full; but
// with nothing else to send from when that record came in, as the spool does.
func (l *lane) due(b *batch, idle bool) time.Time {
	if b.full() {
		return time.Time{}
	}
	if l.longest <= 0 {
		return b.begun.Add(b.route.Batch.Delay)
	}
	due := b.begun.Add(min(b.route.Batch.Delay, l.longest))
	if old := b.oldest.Add(l.longest); idle && old.Before(due) {
		return old
	}
	return due
}

func (l *lane) ship(stream string) *publish {
	b := l.batches[stream]
	delete(l.batches, stream)
	return &publish{l, b.message(), b.positions, b.seq, stream, b.bytes}
}

// wake is when a batch is due, or the spool is asked again; zero: neither.
func (l *lane) wake() time.Time {
	first := l.retryAt
	if !l.slowed.IsZero() && (first.IsZero() || l.slowed.Before(first)) {
		first = l.slowed
	}
	for _, b := range l.batches {
		if due := l.due(b, true); first.IsZero() || due.Before(first) {
			first = due
		}
	}
	return first
}

// rewind starts over with what waits in the spool, called after the session was lost.
func (l *lane) rewind() {
	l.ahead, l.next, l.read, l.slowed = l.ahead[:0], 0, 0, time.Time{}
	clear(l.batches)
	l.spool.Release()
}
