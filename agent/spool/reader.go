package spool

// everything is the bound of a reader without one.
const everything = ^Pos(0)

// Reader goes through what waits in a spool, in order, between two positions. What any reader of the spool has handed out is out
// until it is done with or given back, and is handed out by none meanwhile: two readers never give the same record, and one may
// go over a stretch again. Owned by one goroutine; several readers of a spool may be used side by side.
type Reader struct {
	s       *Spool
	passes  func(stream string) bool // nil: none does
	at      Pos                      // how far it is
	through Pos                      // where it ends
	passed  Pos                      // the first that was passed over since Between; 0: none was
	view    view
}

// Reader returns a reader from the beginning to what is appended last. Streams that pass are passed over, and their records stay;
// passes may be nil. It is called with the spool locked, and must not call it.
func (s *Spool) Reader(passes func(stream string) bool) *Reader {
	return &Reader{s: s, passes: passes, through: everything}
}

// Between has the reader begin behind after and end with through; 0: it has no end.
func (r *Reader) Between(after, through Pos) {
	if through == 0 {
		through = everything
	}
	r.at, r.through, r.passed = after, through, 0
}

// FromNow has the reader begin behind what was appended last, and returns where that is; 0: nothing ever was.
func (r *Reader) FromNow() Pos {
	r.s.mu.Lock()
	mark := r.s.pos
	r.s.mu.Unlock()
	r.Between(mark, 0)
	return mark
}

// Empty has the reader hand out nothing.
func (r *Reader) Empty() { r.at, r.through, r.passed, r.view = everything, 0, 0, view{} }

// At is how far it is: what waits up to there was handed out, or passed over.
func (r *Reader) At() Pos { return r.at }

// Passed is the first position that was passed over, or given back, since Between; 0: none was.
func (r *Reader) Passed() Pos { return r.passed }

// Next appends to dst the next records that wait: at most maxRecords of them, and none more once they hold maxBytes of data. An
// error is one of the disk: ask again later; what cannot be read for a minute is given up and marked.
func (r *Reader) Next(dst []Record, maxRecords, maxBytes int) ([]Record, error) {
	s := r.s
	s.mu.Lock()
	defer s.mu.Unlock()
	s.markGaps(r.passes)
	if r.at >= r.through {
		return dst, nil
	}
	r.at = max(r.at, s.cursor)
	have, bytes, now := 0, 0, s.o.Now()
	up := s.o.uptime(now)
	take := func(rec *record) (more bool) {
		switch {
		case rec.pos > r.through:
			return false
		case s.out.has(rec.pos):
		case r.passes != nil && r.passes(rec.stream):
			r.pass(rec.pos)
		default:
			dst = append(dst, rec.public(now.Add(rec.up-up)))
			s.out.insert(span{rec.pos, rec.pos})
			have, bytes = have+1, bytes+len(rec.data)
		}
		r.at = rec.pos
		return have < maxRecords && bytes < maxBytes
	}
	for _, g := range s.disk.segments {
		if g.last <= r.at || g.first > r.through || len(g.waits) == 0 {
			continue
		}
		if s.disk.passes(g, r.passes) {
			r.passSegment(g)
			continue
		}
		if err := s.load(&r.view, g); err != nil {
			return dst, err
		}
		if !r.view.read(g, &s.o, r.at, take) {
			return dst, nil
		}
		r.at = min(max(r.at, g.last), r.through)
	}
	r.view.content = nil // the rest is in memory
	for i := s.tailIndex(r.at + 1); i < len(s.tail) && take(&s.tail[i]); i++ {
	}
	return dst, nil
}

// Return gives records back that were handed out: they wait as if they had been passed over.
func (r *Reader) Return(positions ...Pos) {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	for _, p := range positions {
		if r.s.out.remove(span{p, p}) > 0 {
			r.pass(p)
		}
	}
	r.s.settleEvicts()
}

func (r *Reader) pass(p Pos) {
	if r.passed == 0 || p < r.passed {
		r.passed = p
	}
}

// passSegment passes over what waits in g, which may begin before the reader and end behind it.
func (r *Reader) passSegment(g *segment) {
	if in := g.waits.within(span{r.at + 1, r.through}); len(in) > 0 {
		r.pass(in[0].first)
	}
	r.at = min(g.last, r.through)
}

// view is one segment's content in memory, and how far a reader is in it.
type view struct {
	of      *segment // nil: none
	cuts    int      // of it when it was loaded
	content []byte
	off     int // behind the record at
	pos     Pos // this position
}

// shows tells whether the content of g is at hand.
func (v *view) shows(g *segment) bool {
	return v.of == g && v.cuts == g.cuts && int64(len(v.content)) == g.size
}

// load has v show g. A file that is shorter than it was counts as rotten at its end.
func (d *disk) load(v *view, g *segment) error {
	content, err := d.readFile(g.name, d.o.SegmentBytes+segmentExtra)
	if err != nil {
		return err
	}
	if int64(len(content)) < g.size {
		content = append(content, make([]byte, g.size-int64(len(content)))...)
	}
	if v.of != g || v.cuts != g.cuts {
		v.off, v.pos = 0, 0
	}
	v.of, v.cuts, v.content = g, g.cuts, content[:g.size]
	return nil
}

// read calls take for the records of g behind after that wait, in order, until it says stop; then false. v shows g.
func (v *view) read(g *segment, o *Options, after Pos, take func(r *record) bool) bool {
	if v.pos > after { // started over
		v.off, v.pos = 0, 0
	}
	base, more := v.off, true
	walk(v.content[base:], after, func(r *record, at location) bool {
		if r.pos > g.last {
			return false
		}
		if g.waits.has(r.pos) { // else acknowledged, or given up meanwhile
			r.up = g.upOf(r, o)
			if more = take(r); !more {
				return false
			}
		}
		v.off, v.pos = base+at.end, r.pos
		return more
	})
	return more
}
