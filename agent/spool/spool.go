package spool

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"sync"
	"time"
)

// Seq numbers the records of one stream within one epoch, from 1, without holes.
type Seq uint64

// Pos is a place in a spool. Strictly increasing; it never leaves the gateway.
type Pos uint64

// Reason says why numbers of a stream are lost.
type Reason string

// The reasons of a gap.
const (
	ReasonFull    Reason = "full"    // the spool, or the disk
	ReasonAge     Reason = "age"     // waited longer than MaxAge
	ReasonCorrupt Reason = "corrupt" // the disk gave back something else
	ReasonRestart Reason = "restart" // an unclean stop took what was in memory
	ReasonPoison  Reason = "poison"  // it could not be published
)

// Gap says which numbers of a stream will never come.
type Gap struct {
	From, To Seq    // To 0: all from From on that did not arrive; only an unclean stop leaves such a gap
	Epoch    string // of these numbers
	Reason   Reason
}

// Record is one record, or the mark of a gap. (Epoch, Stream, Seq) names it, and never another one.
type Record struct {
	Pos    Pos
	Epoch  string // 8 hex digits
	Stream string
	Seq    Seq
	Time   time.Time // of the append, by the clock as it is now: only what has passed since counts, whoever has set it meanwhile
	Data   []byte    // not to be changed; nil with Gap
	Gap    *Gap
}

// WhenFull is what happens when the spool is full: the oldest record is dropped, or the newest one refused.
type WhenFull int

// The ways to be full.
const (
	DropOldest WhenFull = iota
	DropNewest
)

// Options of a spool.
type Options struct {
	MaxBytes       int64         // of disk and memory together; if zero, 64 MiB or a quarter of what is free, the less
	MemoryBytes    int64         // what memory may hold before it is written; if zero, 1 MiB
	SegmentBytes   int64         // if zero, 256 KiB, or an eighth of MaxBytes if that is less
	MinFreePercent int           // of the disk, left alone: below it the spool grows no more
	MinFreeBytes   int64         // the same in bytes; the larger counts
	MaxAge         time.Duration // if zero, without limit
	WhenFull       WhenFull
	WriteAfter     time.Duration    // a record that waits this long is written; 0: before Append returns
	Sync           time.Duration    // how long written bytes may wait for fsync; 0: not at all
	Now            func() time.Time // if nil, time.Now
	Clock          Clock            // of all ages

	opened time.Time // by Now
}

// Errors of Append.
var (
	ErrFull     = errors.New("spool is full")
	ErrTooLarge = errors.New("record too large for the spool")
	ErrStreams  = errors.New("too many streams, or a name too long")
	ErrClosed   = errors.New("spool is closed")
)

// maxStreams bounds the table of numbers.
const maxStreams = 256

// Status counts records since Open. Accepted + Recovered = Acked + Waiting + Evicted + Poison, always.
type Status struct {
	Accepted     int64 // appended, marks of gaps included
	Recovered    int64 // found on disk by Open
	Acked        int64
	Waiting      int64
	Evicted      int64
	Poison       int64
	Corrupt      int64     // stretches of bytes on disk that were no records, skipped
	Bytes        int64     // waiting, as they stand on disk or would
	Most         int64     // of Bytes: when there is room for no more
	Oldest       time.Time // of the waiting, by the clock as it is now; zero: none
	WrittenBytes int64     // to the disk, everything counted
	Lost         Loss      // what could not be kept
	Why          string    // what is wrong with the disk; empty: nothing
	Found        string    // for an hour, what Open found damaged there; empty: nothing
}

// Loss is what a spool could not keep since Open: evicted, or refused by Append.
type Loss struct {
	Records int64
	Last    time.Time // when the last one went; zero: none did
	Stream  string    // of the last one
	Why     string    // a Reason, or an error of Append
}

// Spool is a crash-safe queue of records in numbered streams. Open it; run Run beside its use; Close it. Safe for concurrent
// use. Append waits for the disk only when WriteAfter is 0 or memory is full.
type Spool struct {
	o     Options // immutable
	fs    FS
	ready chan struct{}

	mu            sync.Mutex
	closed        bool
	epoch         uint32
	next          map[string]Seq // by stream: the next number
	pos           Pos            // the last one given
	cursor        Pos            // everything up to it is done with
	doneTo        Pos            // nothing behind it is
	inMeta        spans          // of the meta file: marks and pending evicts, whose gaps come true unless they are done with
	loose         spans          // of those, the ones that are done with since
	out           spans          // handed out by readers, and neither done with nor given back
	pendingEvicts []pendingEvict // evicted while they were out, in order
	gaps          map[string][]gap

	tail      []record // in memory only, behind everything on disk
	tailBytes int64
	disk      disk
	found     damage // by Open

	count    Status // only the counters that cannot be derived
	metaOld  bool   // the meta file does not know of gaps or streams
	marksOld bool   // the meta file has gaps whose marks were acknowledged from memory
}

func (o Options) withDefaults(fs FS) Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.opened = o.Now()
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = 1 << 20
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
		if free, _, err := fs.Free(); err == nil {
			o.MaxBytes = min(o.MaxBytes, max(free/4, o.MemoryBytes))
		}
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = min(256<<10, max(o.MaxBytes/8, 4<<10))
	}
	return o
}

// Epoch is the epoch of what is appended now, 8 hex digits. A new spool and every start after an unclean stop have a new
// one.
func (s *Spool) Epoch() string { return epochName(s.epoch) }

// WriteAfter is how long a record may wait in memory.
func (s *Spool) WriteAfter() time.Duration { return s.o.WriteAfter }

// Ready is signalled when something was appended; one signal may stand for many.
func (s *Spool) Ready() <-chan struct{} { return s.ready }

func (s *Spool) signal() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Append takes data, which is copied, into stream and returns its number. ErrFull (with DropNewest) and ErrTooLarge consume
// the number too: a gap covers it. An error of the disk is not an error of Append: the record stays in memory.
func (s *Spool) Append(stream string, data []byte) (Seq, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, ErrClosed
	}
	if err := s.openStream(stream); err != nil {
		s.lost(1, stream, err.Error())
		return 0, err
	}
	r := s.o.stamp(s.epoch)
	r.stream, r.seq = stream, s.next[stream]
	now := r.at
	if n := r.size() + int64(len(data)); n > min(s.o.MaxBytes/2, maxRecord) {
		return 0, s.refuse(&r, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, min(s.o.MaxBytes/2, maxRecord)))
	}
	r.data = append(make([]byte, 0, len(data)), data...)
	if !s.makeRoom(r.size(), now) {
		return 0, s.refuse(&r, ErrFull)
	}
	s.next[stream]++ // not before: making room may note on disk which numbers are known
	s.add(r)
	s.count.Accepted++
	if s.o.WriteAfter == 0 {
		s.flush(now)
	}
	s.signal()
	return r.seq, nil
}

// refuse consumes the number of a record that is not taken.
func (s *Spool) refuse(r *record, why error) error {
	s.next[r.stream]++
	s.lost(1, r.stream, why.Error())
	s.lose(r.stream, gap{r.seq, r.seq, r.epoch, reasonCode(ReasonFull)})
	return why
}

func (s *Spool) openStream(stream string) error {
	if s.next[stream] != 0 {
		return nil
	}
	if len(s.next) >= maxStreams || len(stream) > maxStreamName {
		return ErrStreams
	}
	s.next[stream] = 1
	s.metaOld = true
	if s.disk.why == "" { // else before the next write: until then a kill takes the stream as a whole
		_ = s.saveMeta(false)
	}
	return nil
}

// add puts a record at the end; its position is given here.
func (s *Spool) add(r record) {
	s.pos++
	r.pos = s.pos
	s.tail = append(s.tail, r)
	s.tailBytes += r.size()
}

// makeRoom sees to it that n bytes more fit; false: they must be refused.
func (s *Spool) makeRoom(n int64, now time.Time) bool {
	for s.disk.bytes()+s.tailBytes+n > s.o.MaxBytes {
		if s.o.WhenFull == DropNewest || !s.evictOldest(ReasonFull) {
			return false
		}
	}
	if s.tailBytes+n > s.o.MemoryBytes {
		s.flush(now)
	}
	for s.tailBytes+n > s.o.MemoryBytes && len(s.tail) > 0 { // the disk takes nothing
		if s.o.WhenFull == DropNewest {
			return false
		}
		s.evictTail(ReasonFull)
	}
	return true
}

// tailIndex is the index of the first record in memory at or behind pos.
func (s *Spool) tailIndex(pos Pos) int {
	return sort.Search(len(s.tail), func(i int) bool { return s.tail[i].pos >= pos })
}

// Status is one consistent look.
func (s *Spool) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.count
	st.Waiting = s.disk.waiting() + int64(len(s.tail)+len(s.pendingEvicts))
	oldest, waits := time.Duration(0), false
	st.Bytes, oldest, waits = s.disk.backlog()
	st.Bytes += s.tailBytes
	st.Most = s.o.MaxBytes
	st.Corrupt, st.WrittenBytes, st.Why = s.disk.corrupt, s.disk.written, s.disk.why
	st.Found = s.found.why(s.o.Now())
	if !waits && len(s.tail) > 0 {
		oldest, waits = s.tail[0].up, true
	}
	if now := s.o.Now(); waits {
		st.Oldest = now.Add(oldest - s.o.uptime(now))
	}
	return st
}

// Run writes what has waited long enough, syncs, and drops what is too old, until ctx is done.
func (s *Spool) Run(ctx context.Context) error {
	tick := time.NewTicker(s.o.tick())
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.tend(s.o.Now())
		}
	}
}

// tick is how often Run looks: a record is written and synced at most this much late.
func (o Options) tick() time.Duration {
	every := time.Second
	for _, d := range []time.Duration{o.WriteAfter / 4, o.Sync / 2, o.MaxAge / 4} {
		if d > 0 {
			every = min(every, d)
		}
	}
	return max(every, 10*time.Millisecond)
}

func (s *Spool) tend(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expire(now)
	due := len(s.tail) > 0 && s.o.uptime(now)-s.tail[0].up >= s.o.WriteAfter
	if due || s.disk.why != "" && !now.Before(s.disk.retryAt) {
		s.flush(now)
	}
	if s.disk.syncDue(now, s.o.Sync) {
		s.sync(now)
	}
	if s.marksOld && s.disk.why == "" {
		_ = s.saveMeta(false) // or every unclean stop would mark the same gaps again
	}
}

// Close writes what memory holds, syncs, and marks the stop as clean. A second Close does nothing.
func (s *Spool) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.out = nil
	s.settleEvicts()
	s.markGaps(nil)
	s.flush(s.o.Now())
	s.sync(s.o.Now())
	var err error
	if len(s.tail) == 0 { // else numbers are lost, and the next start must know
		err = s.saveMeta(true)
	} else {
		err = fmt.Errorf("%d records in memory could not be written: %s", len(s.tail), s.disk.why)
	}
	return errors.Join(err, s.disk.close())
}
