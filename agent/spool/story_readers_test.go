package spool

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sides drives a spool with a reader of what is appended now and one of what waited before, while streams are held and let go.
type sides struct {
	*machine
	of        *Spool
	live, old *Reader
	held      map[string]bool
	out       map[id]bool // handed out, and neither acknowledged nor given back nor released
}

// session begins anew, as after a loss.
func (m *sides) session() {
	if m.of != m.s {
		m.of = m.s
		passes := func(stream string) bool { return m.held[stream] }
		m.live, m.old = m.s.Reader(passes), m.s.Reader(passes)
	}
	m.s.Release()
	m.out, m.position = map[id]bool{}, map[Pos]id{}
	mark := m.live.FromNow()
	if m.old.Empty(); mark > 0 {
		m.old.Between(0, mark)
	}
}

func (m *sides) read(t *rapid.T, r *Reader) {
	if m.of != m.s {
		m.session()
		return
	}
	before := r.At()
	records, err := r.Next(nil, rapid.IntRange(1, 20).Draw(t, "records"), 1000)
	if err != nil && !m.faulty {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Pos <= before {
			t.Fatalf("position %d after %d", r.Pos, before)
		}
		before = r.Pos
		epoch, _ := parseEpoch(r.Epoch)
		name := id{numbers{epoch, r.Stream}, r.Seq}
		if r.Gap != nil {
			m.note(t, name, fmt.Sprintf("gap %+v", *r.Gap))
			of, _ := parseEpoch(r.Gap.Epoch)
			m.covered[numbers{of, r.Stream}] = append(m.covered[numbers{of, r.Stream}], *r.Gap)
		} else if m.content[name] != string(r.Data) {
			t.Fatalf("%v is %q, was %q", name, r.Data, m.content[name])
		}
		switch {
		case m.never[name]:
			t.Fatalf("%v was acknowledged, and comes again", name)
		case m.held[r.Stream]:
			t.Fatalf("%v is held, and comes", name)
		case m.out[name]:
			t.Fatalf("%v is out, and comes again", name)
		}
		m.out[name] = true
		m.position[r.Pos] = name
	}
}

func (m *sides) Live(t *rapid.T) { m.read(t, m.live) }
func (m *sides) Old(t *rapid.T)  { m.read(t, m.old) }

// Hold changes what is held, and goes over what was passed over.
func (m *sides) Hold(t *rapid.T) {
	for _, stream := range []string{"a", "b", ""} {
		m.held[stream] = rapid.Bool().Draw(t, "held")
	}
	if m.of != m.s {
		return
	}
	from := m.live.Passed()
	if p := m.old.Passed(); from == 0 || p != 0 && p < from {
		from = p
	}
	if from > 0 {
		at := m.live.At()
		m.old.Between(min(from-1, m.old.At()), at)
		m.live.Between(at, 0)
	}
}

// Return gives something back that was handed out.
func (m *sides) Return(t *rapid.T) {
	if len(m.position) == 0 || m.of != m.s {
		return
	}
	p := rapid.SampledFrom(slices.Sorted(maps.Keys(m.position))).Draw(t, "return")
	m.live.Return(p)
	delete(m.out, m.position[p])
	delete(m.position, p)
}

// arrive lets go of all, and sees to it that both readers together hand out all that waits.
func (m *sides) arrive(t *rapid.T) {
	m.session()
	clear(m.held)
	m.session()
	for range 2 {
		for _, r := range []*Reader{m.live, m.old} {
			for before := everything - 1; before != r.At(); {
				before = r.At()
				m.read(t, r)
			}
		}
	}
	if s := m.s.Status(); s.Waiting != int64(len(m.position)) {
		t.Fatalf("%d were handed out: %+v", len(m.position), s)
	}
}

// TestTwoReadersGiveEachRecordOnce: whatever is held, let go, lost, killed and acknowledged between, nothing is handed out twice
// in a session, nothing that is held comes, nothing that was acknowledged comes again after a kill, and nothing is lost.
func TestTwoReadersGiveEachRecordOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &sides{machine: newMachine(t), held: map[string]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"append": m.Append, "append more": m.Append, "append still more": m.Append,
			"live": m.Live, "live more": m.Live, "old": m.Old,
			"ack": m.Ack, "ack more": m.Ack, "poison": m.Poison, "hold": m.Hold, "let go": m.Hold, "return": m.Return,
			"session": func(*rapid.T) { m.session() }, "wait": m.Wait, "restart": m.Restart, "kill": m.Kill,
			"power cut": m.PowerCut, "": func(t *rapid.T) { m.check(t); m.census(t) },
		})
		m.arrive(t)
		m.finish(t)
	})
}

// census is counted anew from what waits.
func (m *sides) census(t *rapid.T) {
	n := int64(0)
	for _, g := range m.s.disk.segments {
		left := int64(0)
		for _, k := range g.census.left {
			left += int64(k)
		}
		if left != g.waits.count() || len(g.census.of) != int(g.holds.count()) {
			t.Fatalf("%s: %d of %d wait, counted %d of %d", g.name, g.waits.count(), g.holds.count(), left, len(g.census.of))
		}
	}
	for _, waiting := range m.s.WaitingBy() {
		n += waiting
	}
	if s := m.s.Status(); n != s.Waiting {
		t.Fatalf("%d wait, by stream %d", s.Waiting, n)
	}
}

// Going over a stretch again gives what was passed over or given back, and nothing that is out.
func TestGoneOverAgain(t *testing.T) {
	for name, o := range map[string]Options{"on disk": onDisk(), "in memory": {WriteAfter: time.Hour}} {
		t.Run(name, func(t *testing.T) {
			o.SegmentBytes = 200
			f, held := newFixture(t, o), true
			for range 10 {
				for _, stream := range []string{"a", "b"} {
					if _, err := f.Append(stream, []byte("x")); err != nil {
						t.Fatal(err)
					}
				}
			}
			r := f.Reader(func(stream string) bool { return held && stream == "a" })
			read := func() (got []Pos) {
				records, err := r.Next(nil, 100, 1<<20)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range records {
					got = append(got, r.Pos)
				}
				return got
			}
			if got := read(); !slices.Equal(got, []Pos{2, 4, 6, 8, 10, 12, 14, 16, 18, 20}) {
				t.Fatal(got)
			}
			r.Return(8)
			held = false
			r.Between(r.Passed()-1, 12)
			if got := read(); !slices.Equal(got, []Pos{1, 3, 5, 7, 8, 9, 11}) {
				t.Fatal(got)
			}
			f.Release()
			r.Between(0, 4)
			if got := read(); !slices.Equal(got, []Pos{1, 2, 3, 4}) {
				t.Fatal(got)
			}
		})
	}
}

// alternating is a spool on disk with n records of each of two streams in turn, of which a is held and b acknowledged.
func alternating(t *testing.T, n int) (*fixture, int64) {
	t.Helper()
	o := onDisk()
	o.WriteAfter, o.Sync, o.MaxBytes = time.Hour, time.Second, 1<<30
	f := newFixture(t, o)
	for i := range n {
		for _, stream := range []string{"a", "b"} {
			if _, err := f.Append(stream, fmt.Appendf(nil, "%60d", i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	f.flush(f.now)
	r, before := f.Reader(func(stream string) bool { return stream == "a" }), f.Status().WrittenBytes
	for {
		records, err := r.Next(nil, 32, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			return f, f.Status().WrittenBytes - before
		}
		var positions []Pos
		for _, r := range records {
			positions = append(positions, r.Pos)
		}
		if err := f.Ack(positions...); err != nil {
			t.Fatal(err)
		}
	}
}

// A stream that is held back costs a kill nothing, however long records that wait and such that are done with alternate.
func TestAKillRepeatsNothingBesideWhatIsHeld(t *testing.T) {
	const n = 10_000
	for name, end := range map[string]func(f *fixture){
		"kill":        func(f *fixture) { f.fs = f.fs.kill() },
		"clean stop":  func(f *fixture) { _ = f.Close(); f.fs = f.fs.kill() },
		"kill, twice": func(f *fixture) { f.fs = f.fs.kill(); f.reopen(t); f.fs = f.fs.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			f, written := alternating(t, n)
			if per := float64(written) / n; per > 400 {
				t.Errorf("%.0f bytes written for each acknowledged record", per)
			}
			end(f)
			f.reopen(t)
			if by := f.WaitingBy(); by["a"] != n || by["b"] != 0 {
				t.Fatalf("%v wait", by)
			}
			if err := f.Commit(f.pos); err != nil {
				t.Fatal(err)
			}
			for name := range f.fs.files {
				if _, of := parseSegmentName(name); of || name[len(name)-4:] == "done" {
					t.Errorf("%s was left", name)
				}
			}
		})
	}
}

// A .done file of which the end was torn off still says what it said before.
func TestATornDoneFile(t *testing.T) {
	f := newFixture(t, onDisk())
	f.disk.easy = 2
	f.fill(t, 20)
	f.peek(t)
	for _, p := range []Pos{2, 4, 6, 8, 10, 12} {
		if err := f.Ack(p); err != nil {
			t.Fatal(err)
		}
	}
	name := doneName(segmentName(1))
	file := f.fs.files[name]
	if file == nil {
		t.Fatal("there is no .done file")
	}
	file.data[len(file.data)-1] ^= 1
	f.fs = f.fs.kill()
	f.reopen(t)
	if s := f.Status(); s.Waiting != 15 && s.Waiting != 16 { // what the last block had comes again
		t.Fatalf("%+v", s)
	}
	f.disk.easy = 2
	f.peek(t)
	if err := f.Ack(12, 14, 16, 18); err != nil {
		t.Fatal(err)
	}
	f.fs = f.fs.kill()
	f.reopen(t)
	for _, p := range []Pos{12, 14, 16, 18} {
		if f.disk.segments[0].waits.has(p) {
			t.Errorf("%d comes again", p)
		}
	}
}

// The .done file of a segment that is gone says nothing of another one of its name.
func TestADoneFileOfAnotherSegment(t *testing.T) {
	stale := newMemFS()
	d := &disk{fs: stale, o: onDisk()}
	g := &segment{name: segmentName(3), first: 3, last: 9}
	g.told.fresh = spans{{3, 9}}
	if err := d.tell(g); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, onDisk())
	f.o.SegmentBytes = 100 // a segment for each record
	f.reopen(t)
	f.fill(t, 2)
	f.fs.files[doneName(g.name)] = stale.files[doneName(g.name)]
	f.fill(t, 3)
	f.fs = f.fs.kill()
	f.reopen(t)
	if got := f.all(t); len(got) != 5 {
		t.Fatalf("%v", got)
	}
}

// What is held is not in flight: it gives way at once when the spool is full, and costs no line of meta each.
func TestWhatIsHeldGivesWay(t *testing.T) {
	f := newFixture(t, Options{MaxBytes: 64 << 10, MemoryBytes: 8 << 10, SegmentBytes: 8 << 10, WriteAfter: time.Hour})
	r := f.Reader(func(stream string) bool { return stream == "a" })
	for range 4000 {
		if _, err := f.Append("a", make([]byte, 50)); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Next(nil, 64, 1<<20); err != nil {
			t.Fatal(err)
		}
	}
	s := f.Status()
	if s.Evicted == 0 || s.Accepted != s.Waiting+s.Evicted || len(f.pendingEvicts) > 0 || s.Accepted != 4000 {
		t.Fatalf("%+v, %d pending", s, len(f.pendingEvicts))
	}
	if gaps := f.gaps["a"]; len(gaps) != 1 || gaps[0].to != Seq(s.Evicted) {
		t.Fatalf("%+v for %d", gaps, s.Evicted)
	}
	if _, err := f.Reader(nil).Next(nil, 1, 1); err != nil {
		t.Fatal(err)
	}
	if s := f.Status(); s.Accepted != 4001 {
		t.Fatalf("marked as %+v", s)
	}
}

// A reader does not read segments of which everything that waits is held.
func TestWhatIsHeldIsNotRead(t *testing.T) {
	f, _ := alternating(t, 5000)
	f.fs.allErr = fmt.Errorf("the disk was read")
	r := f.Reader(func(stream string) bool { return stream == "a" })
	if records, err := r.Next(nil, 64, 1<<20); err != nil || len(records) > 0 {
		t.Fatal(records, err)
	}
	if p := r.Passed(); p != 1 {
		t.Fatalf("passed over from %d on", p)
	}
}
