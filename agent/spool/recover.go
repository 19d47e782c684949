package spool

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"time"
)

const (
	metaFile = "meta"
	metaTemp = "meta.new"
	maxMeta  = 4 << 20
)

// meta is what a start must know besides the records: a line with the crc32c of the rest, then JSON. Replaced as a whole:
// temporary file, sync, rename, sync of the directory.
type meta struct {
	Epoch    uint32            `json:"epoch"`
	Clean    bool              `json:"clean"`    // the last stop was a Close; false while in use
	Lossless bool              `json:"lossless"` // nothing accepted is ever in memory only
	Next     map[string]Seq    `json:"next"`     // by stream: with Clean the next number, else a number that is not larger
	Gaps     map[string][]keep `json:"gaps,omitempty"`
}

// keep is a gap in the meta file.
type keep struct {
	From   Seq    `json:"from"`
	To     Seq    `json:"to"`
	Epoch  uint32 `json:"epoch"`
	Reason byte   `json:"reason"`
	Pos    Pos    `json:"pos,omitempty"` // of its mark; 0: not marked yet
}

// Open opens the spool in fs and recovers what is there: a torn tail is cut off, rot in the middle skipped, both counted. It
// never refuses: with a disk that cannot be used the spool is in memory, and Status says why. The error is for options
// that make no sense.
func Open(fs FS, o Options) (*Spool, error) {
	if o.MemoryBytes < 0 || o.MaxBytes < 0 || o.WriteAfter < 0 || o.Sync < 0 || o.MaxAge < 0 {
		return nil, errors.New("spool: negative size or time")
	}
	fs = takeable(fs)
	o = o.withDefaults(fs)
	s := &Spool{o: o, fs: fs, ready: make(chan struct{}, 1), next: map[string]Seq{}, gaps: map[string][]gap{},
		disk: disk{fs: fs, o: o, easy: easyRuns}}
	s.disk.marked = map[mark]bool{}
	now := o.Now()
	m, err := readMeta(fs)
	s.found.unread(metaFile, err, "a new epoch has begun, and what was noted there of lost records is not known any more")
	known := err == nil
	s.cursor, err = s.disk.loadCursor()
	s.found.unread(cursorFile, err, "what was acknowledged may be sent once more")
	found := s.recoverSegments(now, m)
	for _, done := range []spans{s.disk.done, s.disk.told} {
		if n := len(done); n > 0 {
			s.doneTo = max(s.doneTo, done[n-1].last)
		}
	}
	s.pos = max(s.cursor, s.doneTo, s.disk.last()) // no position that is known to be done with is given again
	s.count.Recovered = s.disk.waiting()
	s.beginEpoch(m, known, found)
	s.found.judge(s, m, now)
	s.disk.marked, s.disk.done, s.disk.told = nil, nil, nil
	s.advance()
	if err := s.saveMeta(false); err != nil {
		// The mark of a clean stop could not be taken away: the numbers it holds must not be used by this process.
		_ = s.disk.fail(now, "disk cannot be written", err)
		s.newEpoch()
	}
	if s.count.Recovered > 0 || len(s.gaps) > 0 {
		s.signal()
	}
	return s, nil
}

// recoverSegments takes the segments over and returns the last number of each stream.
func (s *Spool) recoverSegments(now time.Time, m meta) map[numbers]Seq {
	found, watch, times := map[numbers]Seq{}, damageWatch{}, eras{}
	for stream, next := range m.Next {
		if !m.Clean {
			watch[numbers{m.Epoch, stream}] = seen{last: next - 1}
		}
	}
	names, err := s.fs.List()
	if err != nil {
		// What is on it would be mixed up with what comes now: it is left alone: see TakeUp.
		s.disk.blind = true
		_ = s.disk.fail(now, "what is on the disk could not be read at the start, and is left alone until it can", err)
		return found
	}
	after := Pos(0)
	for _, name := range names {
		if _, ok := parseSegmentName(name); !ok {
			continue
		}
		g := &segment{name: name, era: noEra}
		has := s.disk.loadDone(g)
		s.recoverSegment(g, after, found, watch, &times)
		g.told.fresh.remove(span{0, s.cursor})
		for _, r := range has {
			g.told.fresh.remove(r)
		}
		if len(g.waits) == 0 {
			after = max(after, g.last)
			if err := s.disk.remove(g); err != nil && !barred(err) { // nothing of use; what stays is looked at again
				s.found.note("%s holds nothing of use, and could not be removed (%v)", name, err)
			}
			continue
		}
		after = g.last
		s.disk.segments = append(s.disk.segments, g)
	}
	s.disk.removeStrays(names)
	for _, g := range s.disk.segments {
		times.settle(g, s.o.Clock.Boot, s.o.uptime(now))
	}
	return found
}

func (s *Spool) recoverSegment(g *segment, after Pos, found map[numbers]Seq, watch damageWatch, times *eras) {
	g.size = maxRecord // until it is known
	f, err := s.fs.Open(g.name)
	if err != nil {
		s.disk.corrupt++
		return
	}
	defer f.Close()
	p, err := readFile(f, s.o.SegmentBytes+segmentExtra)
	if err != nil {
		s.disk.corrupt++
		return
	}
	g.size = int64(len(p))
	if len(p) < len(segmentMagic) {
		s.found.note("%s is empty: if there were records in it, they are lost", g.name)
	}
	end := 0
	times.segmentBegins()
	skipped := walkNotes(p, after, times.noted, func(r *record, at location) bool {
		key := numbers{r.epoch, r.stream}
		if hole := watch.saw(key, r.seq, s.disk.corrupt+at.skipped); hole != nil && r.pos > s.cursor {
			s.lose(r.stream, *hole)
		}
		found[key] = max(found[key], r.seq)
		g.note(r, s.disk.id(r.stream))
		times.record(g, r, at.skipped)
		if s.wasDone(r.pos) {
			g.finish(span{r.pos, r.pos})
		} else if r.gap != nil {
			s.disk.marked[mark{r.stream, *r.gap}] = true
		}
		end = at.end
		return true
	})
	if len(g.waits) > 0 {
		_ = f.Sync() // a process that was killed left it to the kernel; if it fails, only a power cut now would tell
	}
	s.disk.corrupt += skipped
	g.size = int64(max(end, len(segmentMagic)))
}

// wasDone tells whether the last process was done with the record at pos.
func (s *Spool) wasDone(pos Pos) bool {
	return pos <= s.cursor || s.disk.done.has(pos) || s.disk.told.has(pos)
}

// beginEpoch decides which numbers come next. After a clean stop they go on; after any other a new epoch begins, and what the
// old one may have lost is marked.
func (s *Spool) beginEpoch(m meta, known bool, found map[numbers]Seq) {
	for stream, gaps := range m.Gaps {
		for _, g := range gaps {
			if g.Pos != 0 && s.wasDone(g.Pos) {
				continue // the mark was acknowledged
			}
			if s.disk.marked[mark{stream, gap{g.From, g.To, g.Epoch, g.Reason}}] {
				continue // the mark itself reached the disk
			}
			s.lose(stream, gap{g.From, g.To, g.Epoch, g.Reason % byte(len(reasons()))})
		}
	}
	if known && m.Clean {
		s.epoch, s.next = m.Epoch, m.Next
		for key, last := range found { // rot of the meta's age: never give a number twice
			if key.epoch == s.epoch && s.next[key.stream] <= last {
				s.newEpoch()
				return
			}
		}
		if s.disk.corrupt == 0 {
			return
		}
		for stream, next := range s.next { // the rot may have had the last ones
			if last := found[numbers{s.epoch, stream}]; last+1 < next {
				s.lose(stream, gap{last + 1, next - 1, s.epoch, reasonCode(ReasonCorrupt)})
			}
		}
		return
	}
	s.newEpoch()
	if !known || m.Lossless && s.disk.corrupt == 0 {
		return
	}
	for key, last := range found {
		if key.epoch == m.Epoch {
			m.Next[key.stream] = max(m.Next[key.stream], last+1)
		}
	}
	for stream, from := range m.Next {
		s.lose(stream, gap{from, 0, m.Epoch, reasonCode(ReasonRestart)})
	}
}

func (s *Spool) newEpoch() {
	var p [4]byte
	_, _ = rand.Read(p[:]) // never fails: crypto/rand
	s.epoch, s.next = binary.BigEndian.Uint32(p[:]), map[string]Seq{}
}

// mark is a gap in its stream.
type mark struct {
	stream string
	gap    gap
}

// readMeta reads the meta file.
func readMeta(from FS) (m meta, err error) {
	f, err := from.Open(metaFile)
	if err != nil {
		return m, err
	}
	defer f.Close()
	p, err := readFile(f, maxMeta)
	if err != nil {
		return m, err
	}
	if len(p) < 9 || fmt.Sprintf("%08x\n", crc32.Checksum(p[9:], castagnoli())) != string(p[:9]) {
		return m, errors.New("its checksum is wrong")
	}
	if err := json.Unmarshal(p[9:], &m); err != nil {
		return meta{}, err
	}
	if m.Next == nil {
		m.Next = map[string]Seq{}
	}
	return m, nil
}

// known is, by stream, the first number that a stop now could lose: what is not synced, or not even written. With nothing of
// that kind it is the next number.
func (s *Spool) known() map[string]Seq {
	next := maps.Clone(s.next)
	for _, records := range [][]record{s.disk.unsynced, s.tail} {
		for i := range records {
			if r := &records[i]; r.epoch == s.epoch {
				next[r.stream] = min(next[r.stream], r.seq)
			}
		}
	}
	return next
}

// saveMeta replaces the meta file.
func (s *Spool) saveMeta(clean bool) error {
	m := meta{Epoch: s.epoch, Clean: clean, Lossless: s.o.WriteAfter == 0 && s.o.Sync == 0 && s.disk.why == "",
		Next: s.known()}
	m.Gaps = map[string][]keep{}
	inMeta := []Pos{}
	for stream, gaps := range s.gaps {
		for _, g := range gaps {
			m.Gaps[stream] = append(m.Gaps[stream], keep{g.from, g.to, g.epoch, g.reason, 0})
		}
	}
	for _, r := range slices.Concat(s.disk.unsynced, s.tail) { // marked, but the mark can be lost
		if g := r.gap; g != nil {
			m.Gaps[r.stream] = append(m.Gaps[r.stream], keep{g.from, g.to, g.epoch, g.reason, r.pos})
			inMeta = append(inMeta, r.pos)
		}
	}
	for _, l := range s.pendingEvicts { // evicted, unless they are acknowledged
		m.Gaps[l.stream] = append(m.Gaps[l.stream], keep{l.seq, l.seq, l.epoch, reasonCode(l.why), l.pos})
		inMeta = append(inMeta, l.pos)
		if g := l.gap; g != nil {
			m.Gaps[l.stream] = append(m.Gaps[l.stream], keep{g.from, g.to, g.epoch, g.reason, l.pos})
		}
	}
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	p := append(fmt.Appendf(nil, "%08x\n", crc32.Checksum(body, castagnoli())), body...)
	f, err := s.fs.Create(metaTemp)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(p, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.disk.written += int64(len(p)) + directoryCost
	s.metaOld, s.marksOld = false, false
	if err := s.fs.Rename(metaTemp, metaFile); err != nil {
		return err
	}
	s.inMeta, s.loose = spansOf(inMeta), nil
	return s.fs.Sync()
}
