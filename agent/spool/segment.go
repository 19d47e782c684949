package spool

import (
	"errors"
	"fmt"
	"time"
)

// segment is one file of records.
type segment struct {
	name    string
	holds   spans // the positions of its records
	waits   spans // of those, the ones not acknowledged, given up or evicted yet
	told    told  // which of the others its .done file has
	census  census
	cuts    int // how often records were taken from its end
	first   Pos
	last    Pos           // 0: none
	size    int64         // bytes up to the end of its last record
	oldest  time.Duration // uptime of this boot, negative: before it, when the oldest was appended that waits, about
	newest  time.Duration // the same of the newest one: a clock that is set ages nothing
	began   int64         // wall time of oldest as it stands on disk, Unix ms
	noted   *note         // the last one; nil: none, or it was not written by this process
	notes   int64         // bytes of notes that this process wrote: what fits into a segment is as before there were any
	guess   bool          // of Open: how old its records are is only known to be at least so much
	era     int           // of Open: index into eras, of the newest record
	wall    int64         // of Open: of newest, Unix ms, by a clock that was believed; 0: not known, or of this boot
	numbers map[numbers]numberRange
	failing time.Time // since when it cannot be read; zero: it can
}

// numbers names one numbering: a stream within an epoch.
type numbers struct {
	epoch  uint32
	stream string
}

// numberRange is the first and the last number of a numbering in a segment.
type numberRange struct{ first, last Seq }

// note adds a record, of the stream with the number id.
func (g *segment) note(r *record, id uint16) {
	g.holds.add(r.pos)
	g.waits.add(r.pos)
	g.census.add(id)
	if g.last == 0 {
		g.first, g.oldest, g.began = r.pos, r.up, r.at.UnixMilli()
	}
	g.last, g.newest = r.pos, r.up
	if g.numbers == nil {
		g.numbers = map[numbers]numberRange{}
	}
	key := numbers{r.epoch, r.stream}
	have, ok := g.numbers[key]
	if !ok {
		have.first = r.seq
	}
	have.last = r.seq
	g.numbers[key] = have
}

// finish takes the positions of r out of what waits, and returns how many did.
func (g *segment) finish(r span) (n int64) {
	for _, gone := range g.waits.within(r) {
		size := int(gone.last-gone.first) + 1
		n += int64(size)
		g.waits.remove(gone)
		g.told.fresh.insert(gone)
		first := len(g.census.of) - size
		if gone.last != g.last {
			first = g.holds.index(gone.first)
		}
		g.census.finish(first, size)
	}
	return n
}

// keep leaves only the records at the given positions and returns how many of the others were waiting.
func (g *segment) keep(positions []Pos) (missing int64) {
	if int64(len(positions)) == g.holds.count() {
		return 0
	}
	all := census{}
	for _, p := range positions {
		all.add(g.census.of[g.holds.index(p)])
	}
	g.holds, g.census = spansOf(positions), all
	missing = g.waits.only(g.holds)
	g.census.recount(g.holds, g.waits)
	return missing
}

// base is the position before those that it may hold.
func (g *segment) base() Pos {
	first, _ := parseSegmentName(g.name)
	return first - 1
}

// waiting is how many of its records wait.
func (g *segment) waiting() int64 { return g.waits.count() }

// cut forgets the records from pos on, which did not reach the disk.
func (g *segment) cut(pos Pos, size int64) {
	behind := span{pos, ^Pos(0)}
	g.holds.remove(behind)
	g.waits.remove(behind)
	g.census.of = g.census.of[:g.holds.count()]
	g.census.recount(g.holds, g.waits)
	g.cuts++
	g.last = 0
	if n := len(g.holds); n > 0 {
		g.last = g.holds[n-1].last
	}
	g.size = size
}

// location is where walk found a record.
type location struct {
	end     int   // offset behind it
	skipped int64 // stretches before it that are no records
}

// walk calls visit for each record in p, the content of a segment, in order, until visit says stop. Bytes that are not a
// record are skipped, up to the next record; skipped counts such stretches. Positions that do not grow are copies of
// what is in an older segment: skipped too, not counted.
func walk(p []byte, after Pos, visit func(r *record, at location) bool) (skipped int64) {
	return walkNotes(p, after, nil, visit)
}

// walkNotes is walk, which calls noted, if it is not nil, for each note of the clocks too.
func walkNotes(p []byte, after Pos, noted func(n note, damage int64), visit func(r *record, at location) bool) (skipped int64) {
	off, inBad := 0, false
	if len(p) >= len(segmentMagic) && string(p[:len(segmentMagic)]) == segmentMagic {
		off = len(segmentMagic)
	}
	for off < len(p) {
		r, n, err := parseRecord(p[off:])
		if err != nil {
			if !inBad {
				inBad = true
				skipped++
			}
			off++
			continue
		}
		at := location{off + n, skipped}
		off, inBad = off+n, false
		if r.pos <= after {
			if n, ok := noteOf(&r); ok && noted != nil {
				noted(n, skipped)
			}
			continue
		}
		after = r.pos
		if !visit(&r, at) {
			return skipped
		}
	}
	return skipped
}

// readFile reads the named file, of at most limit bytes.
func (d *disk) readFile(name string, limit int64) ([]byte, error) {
	f, err := d.fs.Open(name)
	if err != nil {
		return nil, err
	}
	p, err := readFile(f, limit)
	return p, errors.Join(err, f.Close())
}

// readFile reads a file of at most limit bytes.
func readFile(f File, limit int64) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("%d bytes, at most %d", size, limit)
	}
	p := make([]byte, size)
	n, err := f.ReadAt(p, 0)
	if int64(n) == size {
		return p, nil
	}
	return nil, err
}

// damageWatch finds the numbers that were lost with damaged bytes. It ignores a hole without damage: what was acknowledged from
// memory never reached the disk.
type damageWatch map[numbers]seen

type seen struct {
	last   Seq
	damage int64 // stretches of damage before it
}

// saw is called for each record in order; damage counts the stretches before it. It returns the numbers that are lost.
func (w damageWatch) saw(key numbers, seq Seq, damage int64) *gap {
	was := w[key]
	w[key] = seen{seq, damage}
	if damage == was.damage || seq <= was.last+1 {
		return nil
	}
	return &gap{was.last + 1, seq - 1, key.epoch, reasonCode(ReasonCorrupt)}
}
