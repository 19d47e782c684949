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

// publish is one publish and the records that it carries.
type publish struct {
	lane      *lane
	message   transport.Message
	positions []spool.Pos
	seq       spool.Seq // of the first record, for the log
	stream    string
	size      int // bytes of payload, of a batch
}

// lane is one spool on its way up. Records are acknowledged out of order when one device gathers batches and another does not;
// the spool knows which are. Owned by the pump's loop.
type lane struct {
	name   string // of the spool, for the log
	spool  *spool.Spool
	encode encoder
	live   *course // what was read since the session came up, or all when nothing old waits
	old    *course // what waited then, and what was passed over meanwhile

	mark spool.Pos // live goes from behind it on; 0: it has all

	most    map[string]int // by stream: bytes of a batch, where the server did not take larger ones
	longest time.Duration  // that a batch gathers, whatever its delay; 0: no limit

	vital  bool                     // sent even when the budget is used up
	paced  bool                     // its old records are sent no faster than the pacer says
	passes func(stream string) bool // what is passed over and stays in the spool; nil: nothing

	passed tally // records of which only their topic tells that they are passed over
}

// encoder turns a record into what is published. Nil with no error: there is nothing to publish.
type encoder interface {
	encode(r spool.Record, now time.Time) (*encodedRecord, error)
	topic(stream string) string // of all records of a stream; empty: each has its own
}

// encodedRecord is one record ready to be published, alone or in a batch.
type encodedRecord struct {
	bytes []byte // see [wire.Format]
	route Route
}

func newLane(s *spool.Spool, e encoder) *lane {
	wait := s.WriteAfter()
	l := &lane{spool: s, encode: e, most: map[string]int{}, longest: wait - min(leaveEarlier, wait/2)}
	passes := func(stream string) bool { return l.passes != nil && l.passes(stream) }
	l.live, l.old = newCourse(l, s.Reader(passes)), newCourse(l, s.Reader(passes))
	l.old.reader.Empty()
	return l
}

// begin is called when a session has come up. What waits since before lateAfter is a backlog, and what is read from now on goes
// beside it; where nothing is as old all goes in order. goesOn: the session before ended just now, and what went beside the
// backlog still does; of that, what the server did not acknowledge goes first.
func (l *lane) begin(now time.Time, goesOn bool) {
	l.rewind()
	if oldest := l.spool.Status().Oldest; !goesOn {
		l.mark = 0
		if !oldest.IsZero() && now.Sub(oldest) > lateAfter {
			l.mark = l.live.reader.FromNow()
		}
	}
	if l.mark > 0 {
		l.live.reader.Between(l.mark, 0)
		l.old.reader.Between(0, l.mark)
	}
}

// rewind starts over with what waits in the spool, called after the session was lost.
func (l *lane) rewind() {
	l.live.clear()
	l.old.clear()
	l.passed.clear()
	l.live.reader.Between(0, 0)
	l.old.reader.Empty()
	l.spool.Release()
}

// revisit has the backlog go over what was passed over, beside what is read now. What is out stays out.
func (l *lane) revisit(held func(l *lane, topic, stream string) bool) {
	l.live.giveBack(held)
	l.old.giveBack(held)
	l.passed.clear()
	from := l.live.reader.Passed()
	if p := l.old.reader.Passed(); from == 0 || p != 0 && p < from {
		from = p
	}
	if from == 0 {
		return
	}
	at := l.live.reader.At()
	l.old.reader.Between(min(from-1, l.old.reader.At()), at)
	l.live.reader.Between(at, 0)
	l.mark = at
}
