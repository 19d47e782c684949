package agent

import (
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/transport"
)

// readAhead bounds what a lane takes from its spool at a time.
const (
	readAheadRecords = 64
	readAheadBytes   = 64 << 10
)

// parcel is one publish and the records that it carries.
type parcel struct {
	lane      *lane
	message   transport.Message
	positions []spool.Pos
	seq       spool.Seq // of the first record, for the log
	stream    string
}

// lane is one spool on its way up: what was read from it, what is gathered in batches, and what is done. Records are
// acknowledged out of order when one device gathers batches and another does not; the spool's cursor moves only over a
// prefix of done ones. Owned by the pump's loop.
type lane struct {
	spool  *spool.Spool
	encode encoder

	read    spool.Pos              // the last position taken from the spool
	ahead   []spool.Record         // taken, not yet in a parcel or a batch
	next    int                    // index into ahead
	slots   []slot                 // taken and not committed, in order
	done    map[spool.Pos]struct{} // acknowledged before a loss, behind a record that was not: not to be sent again
	batches map[string]*batch      // by stream
}

type slot struct {
	pos  spool.Pos
	done bool
}

// encoder turns a record into what is published. Nil with no error: there is nothing to publish.
type encoder interface {
	encode(r spool.Record, now time.Time) (*item, error)
}

// item is one record ready to be published, alone or in a batch.
type item struct {
	payload []byte
	route   route
}

func newLane(s *spool.Spool, e encoder) *lane {
	return &lane{spool: s, encode: e, done: map[spool.Pos]struct{}{}, batches: map[string]*batch{}}
}

// take returns the next parcel, or nil when nothing is ready to be sent at now. flush sends batches that are not full. The
// records that cannot be encoded are returned too, with why.
func (l *lane) take(now time.Time, flush bool) (*parcel, *spool.Record, error) {
	for {
		if l.next == len(l.ahead) {
			if more, err := l.refill(); err != nil {
				return nil, nil, err
			} else if !more {
				return l.dueBatch(now, flush), nil, nil
			}
		}
		r := l.ahead[l.next]
		l.next++
		_, done := l.done[r.Pos]
		delete(l.done, r.Pos)
		l.slots = append(l.slots, slot{r.Pos, done})
		if done {
			continue
		}
		it, err := l.encode.encode(r, now)
		if err != nil {
			return nil, &r, err
		}
		if it == nil {
			if err := l.finish(r.Pos); err != nil {
				return nil, nil, err
			}
			continue
		}
		if p := l.pack(r, it, now); p != nil {
			return p, nil, nil
		}
		if p := l.dueBatch(now, false); p != nil {
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

// pack makes a parcel of one record, or adds it to its device's batch and returns that when it is full.
func (l *lane) pack(r spool.Record, it *item, now time.Time) *parcel {
	if !it.route.batch.on() {
		return &parcel{l, it.route.message(it.payload), []spool.Pos{r.Pos}, r.Seq, r.Stream}
	}
	b := l.batches[r.Stream]
	if b == nil {
		b = &batch{route: it.route, seq: r.Seq, begun: now}
		l.batches[r.Stream] = b
	}
	if b.fits(it.payload) {
		b.add(r.Pos, it.payload)
		if b.full() {
			return l.ship(r.Stream)
		}
		return nil
	}
	p := l.ship(r.Stream) // the new one opens the next batch
	b = &batch{route: it.route, seq: r.Seq, begun: now}
	b.add(r.Pos, it.payload)
	l.batches[r.Stream] = b
	return p
}

// dueBatch returns a batch that has waited long enough, or any with flush.
func (l *lane) dueBatch(now time.Time, flush bool) *parcel {
	for stream, b := range l.batches {
		if flush || !now.Before(b.due()) {
			return l.ship(stream)
		}
	}
	return nil
}

func (l *lane) ship(stream string) *parcel {
	b := l.batches[stream]
	delete(l.batches, stream)
	return &parcel{l, b.message(), b.positions, b.seq, stream}
}

// wake is when a batch is due; zero: none is gathering.
func (l *lane) wake() time.Time {
	var first time.Time
	for _, b := range l.batches {
		if first.IsZero() || b.due().Before(first) {
			first = b.due()
		}
	}
	return first
}

// finish notes positions as done and moves the spool's cursor over the prefix of done ones.
func (l *lane) finish(positions ...spool.Pos) error {
	for _, p := range positions {
		if i, ok := l.find(p); ok {
			l.slots[i].done = true
		}
	}
	n := 0
	for n < len(l.slots) && l.slots[n].done {
		n++
	}
	if n == 0 {
		return nil
	}
	through := l.slots[n-1].pos
	l.slots = slices.Delete(l.slots, 0, n)
	return l.spool.Commit(through)
}

// poison gives up on one record: it is counted, and committed past in its turn.
func (l *lane) poison(p spool.Pos) error {
	if err := l.spool.Poison(p); err != nil {
		return err
	}
	return l.finish(p)
}

func (l *lane) find(p spool.Pos) (int, bool) {
	return slices.BinarySearchFunc(l.slots, p, func(s slot, p spool.Pos) int {
		switch {
		case s.pos < p:
			return -1
		case s.pos > p:
			return 1
		}
		return 0
	})
}

// rewind starts over from the spool's cursor, called after the session was lost. What was acknowledged stays so.
func (l *lane) rewind() {
	for _, s := range l.slots {
		if s.done {
			l.done[s.pos] = struct{}{}
		}
	}
	l.slots, l.ahead, l.next, l.read = nil, l.ahead[:0], 0, 0
	clear(l.batches)
}
