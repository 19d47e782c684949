package spool

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// held is a spool with 40 records handed out, all but every tenth acknowledged.
func held(t *testing.T, o Options) (*fixture, []string) {
	t.Helper()
	f := newFixture(t, o)
	f.fill(t, 40)
	var acked []Pos
	var left []string
	for _, r := range f.peek(t) {
		if r.Seq%10 == 0 {
			left = append(left, fmt.Sprint(r.Seq))
			continue
		}
		acked = append(acked, r.Pos)
	}
	if err := f.Ack(acked...); err != nil {
		t.Fatal(err)
	}
	return f, left
}

func (f *fixture) peek(t *testing.T) []Record {
	t.Helper()
	records, err := f.Peek(0, nil, 1000, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// What was acknowledged waits no more, whatever lies before it, and a kill does not bring it back.
func TestAckedOutOfOrderIsDoneWith(t *testing.T) {
	for name, end := range map[string]func(f *fixture){
		"at once":    func(*fixture) {},
		"clean stop": func(f *fixture) { _ = f.Close() },
		"kill":       func(f *fixture) { f.fs = f.fs.kill() },
		"kill after more came and went": func(f *fixture) {
			for range 5 {
				_, _ = f.Append("m", []byte("more"))
				_ = f.Ack(f.pos)
			}
			f.fs = f.fs.kill()
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, left := held(t, onDisk())
			end(f)
			if name != "at once" {
				f.reopen(t)
			}
			if got := f.all(t); !slices.Equal(got, left) {
				t.Fatalf("waiting %v, want %v", got, left)
			}
			if s := f.Status(); s.Waiting != int64(len(left)) || s.Accepted+s.Recovered != s.Acked+s.Waiting {
				t.Fatalf("%+v", s)
			}
		})
	}
}

// Positions that the cursor file calls done with are never given again, even if no record on disk has them.
func TestAPositionIsNotGivenTwice(t *testing.T) {
	f := newFixture(t, onDisk())
	f.o.SegmentBytes = 100 // a segment for each record
	f.reopen(t)
	f.fill(t, 3)
	f.peek(t)
	if err := f.Ack(3, 2); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		f.fs = f.fs.kill()
		f.reopen(t)
		f.fill(t, 2)
	}
	if got := f.all(t); !slices.Equal(got, []string{"1", "1", "2", "1", "2"}) {
		t.Fatalf("%v", got)
	}
}

// One device that holds records back costs the others nothing: what is acknowledged is not written when those are.
func TestWhatIsHeldBackIsWrittenAlone(t *testing.T) {
	f, left := held(t, Options{WriteAfter: 5 * time.Second, Sync: time.Second})
	f.now = f.now.Add(6 * time.Second)
	f.tend(f.now)
	if n := f.disk.waiting(); n != int64(len(left)) {
		t.Fatalf("%d records were written, %d were held back", n, len(left))
	}
}

// A segment of which nothing waits goes, though an older one stays.
func TestSegmentsThatAreDoneWithGo(t *testing.T) {
	o := onDisk()
	o.SegmentBytes = 200
	f := newFixture(t, o)
	f.fill(t, 50)
	before := f.disk.bytes()
	positions := []Pos{}
	for _, r := range f.peek(t)[1:] {
		positions = append(positions, r.Pos)
	}
	if err := f.Ack(positions...); err != nil {
		t.Fatal(err)
	}
	if n := len(f.disk.segments); n != 2 { // the first, and the one that is written to
		t.Fatalf("%d segments, %d bytes of %d", n, f.disk.bytes(), before)
	}
}

// What gives way while it is in flight is evicted only if it does not arrive.
func TestEvictedInFlight(t *testing.T) {
	o := Options{MaxBytes: 4 << 10, MemoryBytes: 1 << 10, SegmentBytes: 1 << 10, WriteAfter: time.Hour}
	for name, c := range map[string]struct {
		then    func(t *testing.T, f *fixture, inFlight []Pos)
		evicted int64
		gap     string
	}{
		"and acknowledged": {func(t *testing.T, f *fixture, inFlight []Pos) {
			if err := f.Ack(inFlight...); err != nil {
				t.Fatal(err)
			}
		}, 0, ""},
		"and lost": {func(_ *testing.T, f *fixture, _ []Pos) { f.Release() }, 10, "full 1-10"},
		"acknowledged, then killed": {func(t *testing.T, f *fixture, inFlight []Pos) {
			if err := f.Ack(inFlight...); err != nil {
				t.Fatal(err)
			}
			f.fs = f.fs.kill()
			f.reopen(t)
		}, 0, ""},
		"and killed": {func(t *testing.T, f *fixture, _ []Pos) {
			f.fs = f.fs.kill()
			f.reopen(t)
		}, 0, "full 1-10"},
		"and lost, then killed": {func(t *testing.T, f *fixture, _ []Pos) {
			f.Release()
			f.fs = f.fs.kill()
			f.reopen(t)
		}, 0, "full 1-10"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, o)
			f.fill(t, 10)
			var inFlight []Pos
			for _, r := range f.peek(t) {
				inFlight = append(inFlight, r.Pos)
			}
			for len(f.pendingEvicts) < 10 {
				if _, err := f.Append("other", make([]byte, 100)); err != nil {
					t.Fatal(err)
				}
			}
			if err := f.Ack(f.pos); err != nil { // so that the cursor is written behind all of them
				t.Fatal(err)
			}
			others, epoch := f.Status().Evicted, f.Epoch()
			c.then(t, f, inFlight)
			if f.Epoch() != epoch {
				others = 0 // counted by the process that is gone
			}
			if s := f.Status(); s.Evicted != others+c.evicted || s.Accepted+s.Recovered != s.Acked+s.Waiting+s.Evicted {
				t.Fatalf("%+v", s)
			}
			marks := ""
			for _, r := range f.peek(t) {
				if r.Gap != nil && r.Stream == "m" && r.Gap.Reason == ReasonFull {
					marks += fmt.Sprintf("%s %d-%d", r.Gap.Reason, r.Gap.From, r.Gap.To)
				}
			}
			if marks != c.gap {
				t.Fatalf("marks %q, want %q", marks, c.gap)
			}
		})
	}
}

// A record that cannot be published leaves a gap, over a kill too; its mark, should that be refused as well, leaves none.
func TestPoisonLeavesAGap(t *testing.T) {
	f := newFixture(t, onDisk())
	f.fill(t, 3)
	f.peek(t)
	if err := f.Poison(2); err != nil {
		t.Fatal(err)
	}
	f.fs = f.fs.kill()
	f.reopen(t)
	if got := f.all(t); !slices.Equal(got, []string{"1", "3", "poison 2-2"}) {
		t.Fatalf("%v", got)
	}
	mark := f.peek(t)[2]
	if err := f.Poison(mark.Pos); err != nil {
		t.Fatal(err)
	}
	if got := f.all(t); !slices.Equal(got, []string{"1", "3"}) {
		t.Fatalf("%v", got)
	}
	if s := f.Status(); s.Poison != 1 || s.Accepted+s.Recovered != s.Waiting+s.Poison {
		t.Fatalf("%+v", s)
	}
}

func TestLossesAreTold(t *testing.T) {
	o := Options{MaxBytes: 4 << 10, MemoryBytes: 1 << 10, SegmentBytes: 1 << 10, WriteAfter: time.Hour}
	for name, c := range map[string]struct {
		lose func(f *fixture)
		want string
	}{
		"nothing": {func(*fixture) {}, "0  "},
		"too large": {func(f *fixture) { _, _ = f.Append("m", make([]byte, 4<<10)) },
			"1 m record too large for the spool: 4135 bytes, at most 2048"},
		"too many streams": {func(f *fixture) { _, _ = f.Append(string(make([]byte, 256)), nil) },
			"1 " + string(make([]byte, 256)) + " " + ErrStreams.Error()},
		"evicted": {func(f *fixture) {
			for f.Status().Evicted == 0 {
				_, _ = f.Append("m", make([]byte, 500))
			}
		}, "2 m full"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, o)
			c.lose(f)
			l := f.Status().Lost
			if got := fmt.Sprintf("%d %s %s", l.Records, l.Stream, l.Why); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if (l.Records > 0) != l.Last.Equal(f.now) {
				t.Errorf("at %v", l.Last)
			}
		})
	}
}
