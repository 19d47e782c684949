package pump

import (
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
)

// course is one way through a lane's spool: what was read from it, and what is gathered in batches. Owned by the pump's loop.
type course struct {
	lane   *lane
	reader *spool.Reader

	ahead   []spool.Record    // taken, not yet in a publish or a batch
	next    int               // index into ahead
	batches map[string]*batch // by stream

	slowed  time.Time // until then the next record is held up by the pacer; zero: it is not
	fault   string    // of the last try to read the spool; empty: it can be read
	retryAt time.Time // with fault: when it is read again
}

func newCourse(l *lane, r *spool.Reader) *course {
	return &course{lane: l, reader: r, batches: map[string]*batch{}}
}

// clear forgets what was taken and not sent.
func (c *course) clear() {
	c.ahead, c.next, c.slowed = c.ahead[:0], 0, time.Time{}
	clear(c.batches)
}

// how the next publish is made.
type how struct {
	flush  bool                                     // batches that are not full are sent too
	single bool                                     // each record alone
	held   func(l *lane, topic, stream string) bool // stays in the spool; nil: nothing does
	pace   *pacer                                   // of what waited through an outage; nil: it goes at once
}

// take returns the next publish, or nil when nothing is ready to be sent at now. The records that cannot be encoded are
// returned too, with why.
func (c *course) take(now time.Time, h how) (*publish, *spool.Record, error) {
	c.slowed = time.Time{}
	for {
		if c.next == len(c.ahead) {
			if more, err := c.refill(); err != nil {
				return nil, nil, err
			} else if !more {
				return c.dueBatch(now, true, h.flush), nil, nil
			}
		}
		r := c.ahead[c.next]
		if ok, at := h.pace.may(r.Time, len(r.Data), now); !ok {
			c.slowed = at
			return c.dueBatch(now, false, h.flush), nil, nil
		}
		c.next++
		e, err := c.lane.encode.encode(r, now)
		if err != nil {
			return nil, &r, err
		}
		if e == nil {
			if err := c.lane.spool.Ack(r.Pos); err != nil {
				return nil, nil, err
			}
			continue
		}
		if topic := e.route.Published(); h.held != nil && h.held(c.lane, topic, r.Stream) {
			c.reader.Return(r.Pos)
			if c.lane.encode.topic(r.Stream) == "" {
				c.lane.passed.add(topic)
			}
			continue
		}
		if p := c.pack(r, e, now, h.single); p != nil {
			return p, nil, nil
		}
		if p := c.dueBatch(now, false, false); p != nil {
			return p, nil, nil
		}
	}
}

// refill takes more from the spool; false when there is no more.
func (c *course) refill() (bool, error) {
	ahead, err := c.reader.Next(c.ahead[:0], readAheadRecords, readAheadBytes)
	c.ahead, c.next = ahead, 0
	return len(ahead) > 0, err
}

// pack makes a publish of one record, or adds it to its device's batch and returns that when it is full.
func (c *course) pack(r spool.Record, e *encodedRecord, now time.Time, single bool) *publish {
	l := c.lane
	if !e.route.Batch.on() {
		payload := e.route.Format.Single(e.bytes)
		return &publish{lane: l, message: e.route.message(payload), positions: []spool.Pos{r.Pos}, seq: r.Seq, stream: r.Stream}
	}
	var p *publish
	if b := c.batches[r.Stream]; b != nil && (!b.fits(e.bytes) || b.route.Format != e.route.Format) {
		p = c.ship(r.Stream) // this one opens the next batch
	}
	b := c.batches[r.Stream]
	if b == nil {
		b = &batch{route: e.route, seq: r.Seq, begun: now, oldest: r.Time}
		if n := l.most[r.Stream]; n > 0 {
			b.route.Batch.Bytes = min(b.route.Batch.Bytes, n)
		}
		c.batches[r.Stream] = b
	}
	b.add(r.Pos, e.bytes)
	if p == nil && (single || b.full()) {
		p = c.ship(r.Stream)
	}
	return p
}

// dueBatch returns a batch that has gathered long enough, or any with flush. idle: there is nothing else to send.
func (c *course) dueBatch(now time.Time, idle, flush bool) *publish {
	for stream, b := range c.batches {
		if flush || !now.Before(c.due(b, idle)) {
			return c.ship(stream)
		}
	}
	return nil
}

// due is when a batch leaves. It counts from when its first record was taken, so that the batches of a backlog are full; but
// with nothing else to send from when that record came in, as the spool does.
func (c *course) due(b *batch, idle bool) time.Time {
	if b.full() {
		return time.Time{}
	}
	longest := c.lane.longest
	if longest <= 0 {
		return b.begun.Add(b.route.Batch.Delay)
	}
	due := b.begun.Add(min(b.route.Batch.Delay, longest))
	if old := b.oldest.Add(longest); idle && old.Before(due) {
		return old
	}
	return due
}

func (c *course) ship(stream string) *publish {
	b := c.batches[stream]
	delete(c.batches, stream)
	return &publish{c.lane, b.message(), b.positions, b.seq, stream, b.bytes}
}

// giveBack gives back what gathers and is held now.
func (c *course) giveBack(held func(l *lane, topic, stream string) bool) {
	for stream, b := range c.batches {
		if held(c.lane, b.route.Published(), stream) {
			c.reader.Return(b.positions...)
			delete(c.batches, stream)
		}
	}
}

// wake is when a batch is due, or the spool is asked again; zero: neither.
func (c *course) wake() time.Time {
	first := c.retryAt
	if !c.slowed.IsZero() && (first.IsZero() || c.slowed.Before(first)) {
		first = c.slowed
	}
	for _, b := range c.batches {
		if due := c.due(b, c.slowed.IsZero()); first.IsZero() || due.Before(first) {
			first = due
		}
	}
	return first
}
