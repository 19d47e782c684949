package spool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fixture is a spool on a disk in memory, with a clock of its own.
type fixture struct {
	*Spool
	fs  *memFS
	o   Options
	now time.Time
	peeker
}

func newFixture(t *testing.T, o Options) *fixture {
	t.Helper()
	f := &fixture{fs: newMemFS(), o: o, now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	f.o.Now = func() time.Time { return f.now }
	f.reopen(t)
	return f
}

func (f *fixture) reopen(t *testing.T) {
	t.Helper()
	s, err := Open(f.fs, f.o)
	if err != nil {
		t.Fatal(err)
	}
	f.Spool = s
}

func (f *fixture) fill(t *testing.T, n int) {
	t.Helper()
	for i := range n {
		if _, err := f.Append("m", fmt.Appendf(nil, "frame %d", i)); err != nil {
			t.Fatal(err)
		}
	}
}

// all returns what waits, a word each: the number of a record, or a gap.
func (f *fixture) all(t *testing.T) []string {
	t.Helper()
	records, err := f.Peek(0, nil, 1000, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, r := range records {
		if r.Gap != nil {
			words = append(words, fmt.Sprintf("%s %d-%d", r.Gap.Reason, r.Gap.From, r.Gap.To))
			continue
		}
		words = append(words, fmt.Sprint(r.Seq))
	}
	return words
}

func (f *fixture) segmentBytes() []byte { return f.fs.files[segmentName(1)].data }

// onDisk is a spool that has every record on disk, synced, before Append returns.
func onDisk() Options { return Options{WriteAfter: 0, Sync: 0, MinFreeBytes: 1} }

// TestRecovery is what each kind of end leaves. Five records were accepted before it.
func TestRecovery(t *testing.T) {
	inMemory := Options{WriteAfter: 5 * time.Second, Sync: time.Second}
	for name, c := range map[string]struct {
		o    Options
		end  func(t *testing.T, f *fixture)
		want []string
		same bool // epoch
	}{
		"clean stop": {inMemory, func(t *testing.T, f *fixture) {
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}, []string{"1", "2", "3", "4", "5"}, true},
		"kill, everything in memory": {inMemory, func(_ *testing.T, f *fixture) { f.fs = f.fs.kill() },
			[]string{"restart 1-0"}, false},
		"kill after write_after": {inMemory, func(_ *testing.T, f *fixture) {
			f.now = f.now.Add(6 * time.Second)
			f.tend(f.now)
			f.fs = f.fs.kill()
		}, []string{"1", "2", "3", "4", "5", "restart 6-0"}, false},
		"kill, all on disk": {onDisk(), func(_ *testing.T, f *fixture) { f.fs = f.fs.kill() },
			[]string{"1", "2", "3", "4", "5"}, false},
		"power cut, all on disk": {onDisk(), func(_ *testing.T, f *fixture) { f.fs = f.fs.powerCut(alwaysLost()) },
			[]string{"1", "2", "3", "4", "5"}, false},
		"kill after three were acknowledged": {onDisk(), func(t *testing.T, f *fixture) {
			if err := f.Commit(3); err != nil {
				t.Fatal(err)
			}
			f.fs = f.fs.kill()
		}, []string{"4", "5"}, false},
		"torn tail": {onDisk(), func(_ *testing.T, f *fixture) {
			f.fs = f.fs.kill()
			file := f.fs.files[segmentName(1)]
			file.data = file.data[:len(file.data)-3]
		}, []string{"1", "2", "3", "4", "restart 5-0"}, false},
		"rot in the middle": {onDisk(), func(_ *testing.T, f *fixture) {
			f.fs = f.fs.kill()
			f.segmentBytes()[len(segmentMagic)+noteBytes+60] ^= 0x40 // in the second record
		}, []string{"1", "3", "4", "5", "corrupt 2-2", "restart 6-0"}, false},
		"rot in a length": {onDisk(), func(_ *testing.T, f *fixture) {
			f.fs = f.fs.kill()
			f.segmentBytes()[len(segmentMagic)+noteBytes+lengthOffset] = 0xff
		}, []string{"2", "3", "4", "5", "corrupt 1-1", "restart 6-0"}, false},
		"rot in the note of the clocks": {onDisk(), func(_ *testing.T, f *fixture) {
			f.fs = f.fs.kill()
			f.segmentBytes()[len(segmentMagic)+20] ^= 1
		}, []string{"1", "2", "3", "4", "5", "restart 6-0"}, false},
		"segment of zeros": {onDisk(), func(_ *testing.T, f *fixture) {
			f.fs = f.fs.kill()
			clear(f.segmentBytes())
		}, []string{"restart 1-0"}, false},
		"rotten meta file": {onDisk(), func(_ *testing.T, f *fixture) {
			f.fs = f.fs.kill()
			f.fs.files[metaFile].data[12] ^= 1
		}, []string{"1", "2", "3", "4", "5"}, false},
		"foreign files": {onDisk(), func(_ *testing.T, f *fixture) {
			f.fs = f.fs.kill()
			f.fs.files["lost+found"] = &memFile{fs: f.fs}
			f.fs.files["zzzzzzzzzzzzzzzz.seg"] = &memFile{fs: f.fs, data: []byte("?")}
		}, []string{"1", "2", "3", "4", "5"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, c.o)
			f.fill(t, 5)
			epoch := f.Epoch()
			c.end(t, f)
			f.reopen(t)
			if got := f.all(t); !slices.Equal(got, c.want) {
				t.Errorf("waiting %v, want %v", got, c.want)
			}
			if (f.Epoch() == epoch) != c.same {
				t.Errorf("epoch %s, was %s", f.Epoch(), epoch)
			}
			if s := f.Status(); s.Accepted+s.Recovered != s.Acked+s.Waiting+s.Evicted+s.Poison {
				t.Errorf("does not balance: %+v", s)
			}
			if seq, err := f.Append("m", []byte("next")); err != nil || c.same && seq != 6 {
				t.Errorf("next number %d, %v", seq, err)
			}
		})
	}
}

func TestOnlineNothingIsWritten(t *testing.T) {
	f := newFixture(t, Options{WriteAfter: 5 * time.Second, Sync: time.Second})
	f.fill(t, 1) // the first of a stream notes the stream
	before := f.Status().WrittenBytes
	for range 1000 {
		f.fill(t, 1)
		f.now = f.now.Add(100 * time.Millisecond)
		f.tend(f.now)
		if err := f.Commit(f.pos); err != nil {
			t.Fatal(err)
		}
	}
	if s := f.Status(); s.WrittenBytes != before || s.Acked != 1001 {
		t.Fatalf("%d bytes written; %+v", s.WrittenBytes-before, s)
	}
}

// With every record on disk before it is sent, a record that is acknowledged at once costs its page, not a file.
func TestAcknowledgedAtOnceKeepsTheFile(t *testing.T) {
	f := newFixture(t, onDisk())
	f.fill(t, 1)
	before := f.Status().WrittenBytes
	for range 100 {
		if err := f.Commit(f.pos); err != nil {
			t.Fatal(err)
		}
		if s := f.Status(); s.Waiting != 0 || s.Bytes != 0 || !s.Oldest.IsZero() {
			t.Fatalf("%+v", s)
		}
		f.now = f.now.Add(time.Second)
		f.fill(t, 1)
		if s := f.Status(); !s.Oldest.Equal(f.now) {
			t.Fatalf("oldest %v, want %v", s.Oldest, f.now)
		}
	}
	if n := f.Status().WrittenBytes - before; n > 110*page {
		t.Fatalf("%d bytes for 100 records", n)
	}
	f.fs = f.fs.kill()
	f.reopen(t)
	if got := f.all(t); !slices.Equal(got, []string{"101"}) {
		t.Fatalf("%v", got)
	}
}

func TestFullDropsOldestOrRefusesNewest(t *testing.T) {
	small := Options{MaxBytes: 4 << 10, MemoryBytes: 1 << 10, SegmentBytes: 1 << 10, WriteAfter: time.Hour}
	for name, c := range map[string]struct {
		when WhenFull
		gap  func(words []string) bool
	}{
		"drop oldest": {DropOldest, func(words []string) bool { return strings.HasPrefix(words[len(words)-1], "full 1-") }},
		"drop newest": {DropNewest, func(words []string) bool {
			return words[0] == "1" && strings.HasPrefix(words[len(words)-1], "full ")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := small
			o.WhenFull = c.when
			f := newFixture(t, o)
			refused := 0
			for i := range 200 {
				if _, err := f.Append("m", fmt.Appendf(nil, "frame %d", i)); errors.Is(err, ErrFull) {
					refused++
				} else if err != nil {
					t.Fatal(err)
				}
			}
			if words := f.all(t); !c.gap(words) {
				t.Fatalf("%v", words)
			}
			s := f.Status()
			if (refused > 0) != (c.when == DropNewest) || s.Bytes > o.MaxBytes+100 {
				t.Fatalf("%d refused; %+v", refused, s)
			}
		})
	}
}

func TestADiskThatFailsIsSaidAndComesBack(t *testing.T) {
	for name, fault := range map[string]func(fs *memFS, err error){
		"full":           func(fs *memFS, err error) { fs.writeErr = orNil(err, syscall.ENOSPC) },
		"read-only":      func(fs *memFS, err error) { fs.writeErr = orNil(err, syscall.EROFS) },
		"does not sync":  func(fs *memFS, err error) { fs.syncErr = orNil(err, syscall.EIO) },
		"does not react": func(fs *memFS, err error) { fs.allErr = orNil(err, syscall.EIO) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, onDisk())
			f.fill(t, 3)
			fault(f.fs, errors.New("now"))
			f.fill(t, 3)
			if why := f.Status().Why; !strings.Contains(why, "memory only") {
				t.Fatalf("why %q", why)
			}
			fault(f.fs, nil)
			f.now = f.now.Add(retryDisk)
			f.tend(f.now)
			if why := f.Status().Why; why != "" {
				t.Fatalf("the disk is back: %q", why)
			}
			f.fs = f.fs.powerCut(alwaysLost())
			f.reopen(t)
			if got := f.all(t); len(got) < 6 || !slices.Equal(got[:6], []string{"1", "2", "3", "4", "5", "6"}) {
				t.Fatalf("%v", got)
			}
		})
	}
}

func orNil(on, err error) error {
	if on == nil {
		return nil
	}
	return err
}

func TestMinFreeIsLeftAlone(t *testing.T) {
	f := newFixture(t, Options{MinFreePercent: 10, MemoryBytes: 1 << 20})
	f.fs.free = 1 << 36 // of 1 << 40: 6 %
	f.fill(t, 10)
	if s := f.Status(); !strings.Contains(s.Why, "min_free") || s.Waiting != 10 {
		t.Fatalf("%+v", s)
	}
}

// A clock that is set, forward by decades, ages nothing that this process took.
func TestASetClockAgesNothing(t *testing.T) {
	o := Options{MaxAge: time.Hour, WriteAfter: time.Minute}
	s, err := Open(newMemFS(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append("m", []byte("x")); err != nil {
		t.Fatal(err)
	}
	s.tend(time.Now()) // with the monotonic clock; the wall clock may say what it likes
	if st := s.Status(); st.Evicted != 0 {
		t.Fatalf("%+v", st)
	}
}

func FuzzRecover(f *testing.F) {
	good := newMemFS()
	s, err := Open(good, onDisk())
	if err != nil {
		f.Fatal(err)
	}
	for range 3 {
		if _, err := s.Append("m", []byte("frame")); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(good.files[segmentName(1)].data, []byte{}, good.files[metaFile].data)
	f.Add([]byte(segmentMagic), make([]byte, cursorSlot+cursorBytes), []byte("00000000\n{}"))
	f.Fuzz(func(t *testing.T, segment, cursor, meta []byte) {
		fs := newMemFS()
		for name, data := range map[string][]byte{segmentName(1): segment, cursorFile: cursor, metaFile: meta} {
			fs.files[name] = &memFile{fs: fs, data: slices.Clone(data)}
		}
		s, err := Open(fs, onDisk())
		if err != nil {
			t.Fatalf("refuses to start: %v", err)
		}
		if _, err := s.Append("new", []byte("x")); err != nil {
			t.Fatal(err)
		}
		records, err := s.Reader(nil).Next(nil, 1000, 1<<20)
		if err != nil || len(records) == 0 {
			t.Fatalf("%d records, %v", len(records), err)
		}
		if err := s.Commit(records[len(records)-1].Pos); err != nil {
			t.Fatal(err)
		}
		if st := s.Status(); st.Accepted+st.Recovered != st.Acked+st.Waiting+st.Evicted+st.Poison {
			t.Fatalf("does not balance: %+v", st)
		}
	})
}

// A disk that others fill takes one more segment, where the reserve was.
func TestTheReserveIsUsedOnAFullDisk(t *testing.T) {
	o := onDisk()
	o.SegmentBytes, o.WhenFull = 1<<10, DropNewest
	f := newFixture(t, o)
	f.fill(t, 1)
	if _, err := f.fs.Open(reserveFile); err != nil {
		t.Fatal("no reserve was made:", err)
	}
	f.fs.fullBut(reserveFile)
	f.fill(t, 5)
	if s := f.Status(); s.Why != "" || f.disk.last() != f.pos {
		t.Fatalf("the reserve was not used: %+v", s)
	}
}

// A gap whose mark was acknowledged is history: the next unclean stop does not bring it back.
func TestAnAcknowledgedMarkDoesNotComeBack(t *testing.T) {
	f := newFixture(t, Options{WriteAfter: 5 * time.Second, Sync: time.Second})
	for range 5 {
		f.fill(t, 3)
		f.fs = f.fs.kill()
		f.reopen(t)
		if got := f.all(t); len(got) != 1 || !strings.HasPrefix(got[0], "restart ") { // of the epoch that just ended
			t.Fatalf("%v", got)
		}
		if err := f.Commit(f.pos); err != nil {
			t.Fatal(err)
		}
		f.now = f.now.Add(time.Second)
		f.tend(f.now)
	}
}
