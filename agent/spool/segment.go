package spool

import (
	"fmt"
	"time"
)

// span is a run of positions without holes, both ends included.
type span struct{ first, last Pos }

// count is how many positions of the span lie in (after, through].
func (r span) count(after, through Pos) int64 {
	first, last := max(r.first, after+1), min(r.last, through)
	if last < first {
		return 0
	}
	return int64(last-first) + 1
}

// segment is one file of records.
type segment struct {
	name       string
	spans      []span // of its records, in order
	first      Pos
	last       Pos   // 0: none
	size       int64 // bytes up to the end of its last record
	oldest     time.Time
	newest     time.Time // with the monotonic clock of this process, so that a set clock ages nothing
	unreadable bool
}

func (g *segment) note(r *record) {
	if n := len(g.spans); n > 0 && g.spans[n-1].last+1 == r.pos {
		g.spans[n-1].last = r.pos
	} else {
		g.spans = append(g.spans, span{r.pos, r.pos})
	}
	if g.last == 0 {
		g.first, g.oldest = r.pos, r.at
	}
	g.last, g.newest = r.pos, r.at
}

// live is how many of its records lie behind the cursor.
func (g *segment) live(cursor Pos) (n int64) { return g.count(cursor, g.last) }

func (g *segment) count(after, through Pos) (n int64) {
	for _, r := range g.spans {
		n += r.count(after, through)
	}
	return n
}

// cut forgets the records from pos on, which did not reach the disk.
func (g *segment) cut(pos Pos, size int64) {
	for n := len(g.spans); n > 0 && g.spans[n-1].last >= pos; n = len(g.spans) {
		if g.spans[n-1].first < pos {
			g.spans[n-1].last = pos - 1
			break
		}
		g.spans = g.spans[:n-1]
	}
	g.last = 0
	if n := len(g.spans); n > 0 {
		g.last = g.spans[n-1].last
	}
	g.size = size
}

// walk calls visit for each record in p, the content of a segment, in order, with the offset behind it, until visit says
// stop. What is no record is skipped, up to the next one that is; skipped is how many stretches that were. Positions that
// do not grow are copies of what is in an older segment: skipped too, not counted.
func walk(p []byte, after Pos, visit func(r *record, end int) bool) (skipped int64) {
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
		off, inBad = off+n, false
		if r.pos <= after {
			continue
		}
		after = r.pos
		if !visit(&r, off) {
			return skipped
		}
	}
	return skipped
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
