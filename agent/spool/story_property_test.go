package spool

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// machine drives a spool at random and keeps the books beside it.
type machine struct {
	o    Options
	fs   *memFS
	s    *Spool
	now  time.Time
	luck *rand.Rand

	content    map[id]string     // what was appended, or marked, under a name
	born       map[id]time.Time  // when it was accepted
	last       map[numbers]Seq   // the last number given
	done       map[id]bool       // delivered and committed
	covered    map[numbers][]Gap // what the marks said
	evicted    bool              // something gave way: loss is allowed as long as it is marked
	everFaulty bool
	faulty     bool        // the disk failed since the last start
	handed     map[id]bool // peeked since the last start or commit
	peeked     Pos         // how far
	never      map[id]bool // acknowledged on a healthy disk, and the power never went: must not come again
	position   map[Pos]id
	cramped    bool // the cursor file has room for few runs
	peeker
}

type id struct {
	numbers
	seq Seq
}

func (m *machine) open(t *rapid.T) {
	s, err := Open(m.fs, m.o)
	if err != nil {
		t.Fatal(err)
	}
	m.s, m.peeked, m.handed, m.position = s, 0, map[id]bool{}, map[Pos]id{}
	if m.cramped {
		s.disk.easy = 8 // so that .done files are needed
	}
	m.faulty = m.fs.allErr != nil || m.fs.writeErr != nil || m.fs.syncErr != nil
}

func (m *machine) Append(t *rapid.T) {
	stream := rapid.SampledFrom([]string{"a", "b", ""}).Draw(t, "stream")
	data := fmt.Sprintf("%s %d %s", stream, m.now.UnixNano(), string(make([]byte, rapid.IntRange(0, 150).Draw(t, "size"))))
	before := m.s.Status()
	seq, err := m.s.Append(stream, []byte(data))
	name := id{numbers{m.s.epoch, stream}, seq}
	if m.s.Status().Evicted > before.Evicted || len(m.s.pendingEvicts) > 0 || err != nil {
		m.evicted = true
	}
	if err != nil {
		return
	}
	m.note(t, name, data)
	m.born[name] = m.now
}

// note sees to it that a name never has two contents.
func (m *machine) note(t *rapid.T, name id, what string) {
	if old, ok := m.content[name]; ok && old != what {
		t.Fatalf("%v has two contents: %q and %q", name, old, what)
	}
	m.content[name] = what
	m.last[name.numbers] = max(m.last[name.numbers], name.seq)
}

func (m *machine) Peek(t *rapid.T) {
	records, err := m.peek(m.s, m.peeked, rapid.IntRange(1, 20).Draw(t, "records"), 1000)
	if err != nil && !m.faulty {
		t.Fatal(err)
	}
	for _, r := range records {
		if r.Pos <= m.peeked {
			t.Fatalf("position %d after %d", r.Pos, m.peeked)
		}
		m.peeked = r.Pos
		epoch, _ := parseEpoch(r.Epoch)
		name := id{numbers{epoch, r.Stream}, r.Seq}
		if r.Gap != nil {
			m.note(t, name, fmt.Sprintf("gap %+v", *r.Gap))
			of, _ := parseEpoch(r.Gap.Epoch)
			m.covered[numbers{of, r.Stream}] = append(m.covered[numbers{of, r.Stream}], *r.Gap)
		} else if m.content[name] != string(r.Data) {
			t.Fatalf("%v is %q, was %q", name, r.Data, m.content[name])
		}
		if m.never[name] && !m.everFaulty {
			t.Fatalf("%v was acknowledged, and comes again", name)
		}
		m.handed[name] = true
		m.position[r.Pos] = name
	}
}

func (m *machine) Commit(t *rapid.T) {
	if m.peeked == 0 {
		return
	}
	through := Pos(rapid.Uint64Range(1, uint64(m.peeked)).Draw(t, "through"))
	if err := m.s.Commit(through); err != nil && !m.faulty {
		t.Fatal(err)
	}
	for p, name := range m.position {
		if p <= through {
			m.done[name], m.never[name] = true, true
			delete(m.position, p)
		}
	}
}

// Ack acknowledges any of what was handed out.
func (m *machine) Ack(t *rapid.T) {
	var acked []Pos
	for _, p := range slices.Sorted(maps.Keys(m.position)) {
		if rapid.IntRange(0, 2).Draw(t, "ack") == 0 {
			acked = append(acked, p)
			m.done[m.position[p]], m.never[m.position[p]] = true, true
			delete(m.position, p)
		}
	}
	before := m.s.Status()
	if err := m.s.Ack(acked...); err != nil && !m.faulty {
		t.Fatal(err)
	}
	after := m.s.Status()
	if got := after.Acked - before.Acked; got > int64(len(acked)) || !m.evicted && !m.everFaulty && got != int64(len(acked)) {
		t.Fatalf("%d acknowledged, counted %d", len(acked), got)
	}
}

func (m *machine) Poison(t *rapid.T) {
	if len(m.position) == 0 {
		return
	}
	p := rapid.SampledFrom(slices.Sorted(maps.Keys(m.position))).Draw(t, "poison")
	if err := m.s.Poison(p); err != nil && !m.faulty {
		t.Fatal(err)
	}
	name := m.position[p]
	if strings.HasPrefix(m.content[name], "gap ") {
		m.done[name] = true // its own number is not marked, and what it said was said
	}
	delete(m.born, name)
	m.never[name] = true
	delete(m.position, p)
}

func (m *machine) Rewind(*rapid.T) { m.peeked = 0 }

func (m *machine) Wait(t *rapid.T) {
	for range rapid.IntRange(1, 30).Draw(t, "half seconds") {
		m.wait(500 * time.Millisecond)
	}
}

func (m *machine) wait(d time.Duration) {
	before := m.s.Status().Evicted
	m.now = m.now.Add(d)
	m.s.tend(m.now)
	m.evicted = m.evicted || m.s.Status().Evicted > before || len(m.s.pendingEvicts) > 0
}

func (m *machine) Break(t *rapid.T) {
	m.faulty, m.everFaulty = true, true
	switch rapid.IntRange(0, 3).Draw(t, "fault") {
	case 0:
		m.fs.writeErr = syscall.ENOSPC
	case 1:
		m.fs.syncErr = syscall.EIO
	case 2:
		m.fs.writeErr = syscall.EROFS
	case 3:
		m.fs.allErr = syscall.EIO
	}
}

func (m *machine) Mend(*rapid.T) { m.fs.writeErr, m.fs.syncErr, m.fs.allErr = nil, nil, nil }

func (m *machine) Restart(t *rapid.T) {
	_ = m.s.Close() // its error is that of a broken disk
	m.allowLoss(!m.faulty, 0)
	m.open(t)
}

func (m *machine) Kill(t *rapid.T) {
	safe := m.o.WriteAfter + time.Second
	if m.o.WriteAfter == 0 {
		safe = 0
	}
	m.allowLoss(!m.faulty, safe)
	was := m.fs
	m.fs = was.kill()
	m.fs.writeErr, m.fs.syncErr, m.fs.allErr = was.writeErr, was.syncErr, was.allErr
	m.open(t)
}

func (m *machine) PowerCut(t *rapid.T) {
	safe := m.o.WriteAfter + time.Second
	if m.o.WriteAfter == 0 {
		safe = 0
	}
	if m.o.Sync > 0 {
		safe += m.o.Sync + time.Second
	}
	m.allowLoss(!m.faulty, safe)
	clear(m.never)
	m.fs = m.fs.powerCut(m.luck)
	m.open(t)
}

// allowLoss forgets what may be lost now: with a healthy disk what was accepted less than safe ago, else everything.
func (m *machine) allowLoss(healthy bool, safe time.Duration) {
	for name, born := range m.born {
		if !healthy || safe > 0 && m.now.Sub(born) < safe {
			delete(m.born, name)
		}
	}
}

// check holds at any time.
func (m *machine) check(t *rapid.T) {
	if !m.everFaulty {
		m.account(t)
	}
	s := m.s.Status()
	if s.Accepted+s.Recovered != s.Acked+s.Waiting+s.Evicted+s.Poison {
		t.Fatalf("does not balance: %+v", s)
	}
	if s.Waiting < 0 || s.Bytes < 0 {
		t.Fatalf("%+v", s)
	}
}

// finish drains a healthy spool and looks at every number that was ever given.
func (m *machine) finish(t *rapid.T) {
	m.Mend(t)
	m.wait(10 * time.Second)
	m.Restart(t)
	for m.s.Status().Waiting > 0 || len(m.s.gaps) > 0 {
		before := m.peeked
		records, err := m.peek(m.s, m.peeked, 1, 1)
		if err != nil || len(records) == 0 {
			t.Fatalf("%+v waits and does not come: %v", m.s.Status(), err)
		}
		m.Peek(t)
		if m.peeked == before {
			t.Fatal("stands still")
		}
		if err := m.s.Commit(m.peeked); err != nil {
			t.Fatal(err)
		}
		for _, name := range m.position {
			m.done[name] = true
		}
		m.check(t)
	}
	for of, last := range m.last {
		for seq := Seq(1); seq <= last; seq++ {
			name := id{of, seq}
			if m.done[name] {
				continue
			}
			if _, must := m.born[name]; must && !m.evicted {
				t.Fatalf("%v is lost, and nothing gave way", name)
			}
			if !covers(m.covered[of], seq) {
				t.Fatalf("%v is lost without a mark; marks: %v", name, m.covered[of])
			}
		}
	}
}

func newMachine(t *rapid.T) *machine {
	m := &machine{fs: newMemFS(), now: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), content: map[id]string{},
		born: map[id]time.Time{}, last: map[numbers]Seq{}, done: map[id]bool{}, never: map[id]bool{},
		covered: map[numbers][]Gap{}, luck: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "luck"), 1))}
	m.cramped = rapid.Bool().Draw(t, "cramped")
	m.o = Options{
		MaxBytes:     rapid.SampledFrom([]int64{8 << 10, 1 << 20}).Draw(t, "max bytes"),
		MemoryBytes:  rapid.SampledFrom([]int64{1 << 10, 64 << 10}).Draw(t, "memory"),
		SegmentBytes: 2 << 10,
		WhenFull:     rapid.SampledFrom([]WhenFull{DropOldest, DropNewest}).Draw(t, "when full"),
		WriteAfter:   rapid.SampledFrom([]time.Duration{0, 5 * time.Second}).Draw(t, "write after"),
		Sync:         rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(t, "sync"),
		MaxAge:       rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "max age"),
		Now:          func() time.Time { return m.now },
	}
	m.open(t)
	return m
}

// TestNothingIsLostSilently is the promise of the package, driven at random: order and content, exact balance, nothing
// lost that should have survived, and every other number marked.
func TestNothingIsLostSilently(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		step := m.Append
		for range 5 {
			step(t)
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": m.Append, "append more": m.Append, "append still more": m.Append, "peek": m.Peek, "commit": m.Commit,
			"ack": m.Ack, "ack more": m.Ack, "poison": m.Poison, "rewind": m.Rewind, "wait": m.Wait, "restart": m.Restart,
			"kill": m.Kill, "power cut": m.PowerCut, "": m.check,
		})
		m.finish(t)
	})
}

// TestABrokenDiskStopsNothing adds failures of the disk: then only the balance, the order and the contents are promised, and
// that it goes on.
func TestABrokenDiskStopsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newMachine(t)
		t.Repeat(map[string]func(*rapid.T){
			"append": m.Append, "append more": m.Append, "peek": m.Peek, "commit": m.Commit,
			"ack": m.Ack, "poison": m.Poison, "rewind": m.Rewind, "wait": m.Wait,
			"restart": m.Restart, "kill": m.Kill, "break": m.Break, "mend": m.Mend, "": m.check,
		})
		m.Mend(t)
		m.now = m.now.Add(time.Minute)
		m.s.tend(m.now)
		if _, err := m.s.Append("z", []byte("x")); err != nil && m.o.WhenFull == DropOldest {
			t.Fatal(err)
		}
		if why := m.s.Status().Why; why != "" && !m.s.disk.blind && m.s.disk.retryAt.Before(m.now) {
			t.Fatalf("the disk is well again, and it says %q", why)
		}
		m.check(t)
	})
}
