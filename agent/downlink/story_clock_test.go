package downlink

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// at sets the clock of a rig, which runs.
func (r *downlinkRig) at(now time.Time) {
	began := time.Now()
	r.clock.Now = func() time.Time { return now.Add(time.Since(began)) }
}

// restarted is a rig on the directory of another one, by a clock that says so.
func restarted(t *testing.T, dir string, now time.Time) *downlinkRig {
	t.Helper()
	r := newDownlinkRigAt(t, dir, now)
	t.Cleanup(r.stop)
	return r
}

// carried sends commands with these expires, and tells how many were carried out and how many refused as expired.
func (r *downlinkRig) carried(t *testing.T, ids string, expires ...time.Time) (done, expired int) {
	t.Helper()
	for i, e := range expires {
		r.send("meter", fmt.Sprintf(`{"id":"%s%d","expires":%d,"text":"x"}`, ids, i, e.UnixMilli()), false)
		_, reply := r.reply(t)
		for reply.ID != fmt.Sprintf("%s%d", ids, i) { // of a command that the stop cut
			_, reply = r.reply(t)
		}
		if reply.Error == wire.Expired {
			expired++
		}
		if len(r.written) > 0 {
			<-r.written
			done++
		}
	}
	return done, expired
}

func hundred(from time.Time) (all []time.Time) {
	for i := range 100 {
		all = append(all, from.Add(time.Minute+time.Duration(i)*time.Second))
	}
	return all
}

// The clock refuses what the journal has forgotten, until it goes back.
func TestAtMostOnceHoldsWhenTheClockGoesBack(t *testing.T) {
	now := time.Now()
	year := 365 * 24 * time.Hour
	for name, back := range map[string]time.Duration{
		"an hour": time.Hour, "to when they were sent": 30*time.Minute + 30*time.Second, "a day": 24 * time.Hour,
		"ten years": 10 * year,
	} {
		t.Run(name, func(t *testing.T) {
			dir, expires := t.TempDir(), hundred(now)
			first := newDownlinkRigAt(t, dir, now)
			if done, _ := first.carried(t, "a", expires...); done != 100 {
				t.Fatalf("%d carried out", done)
			}
			first.stop()
			later := now.Add(30 * time.Minute)
			second := newDownlinkRigAt(t, dir, later) // here they are forgotten: one more makes a new file
			if done, _ := second.carried(t, "b", later.Add(time.Minute)); done != 1 {
				t.Fatal("not carried out")
			}
			if len(second.journal.entries) != 1 {
				t.Fatalf("%d are remembered", len(second.journal.entries))
			}
			second.stop()
			third := restarted(t, dir, later.Add(-back))
			if done, _ := third.carried(t, "a", expires...); done != 0 {
				t.Errorf("%d carried out twice", done)
			}
			if done, _ := third.carried(t, "new", expires[50]); done != 0 {
				t.Error("what expires before a forgotten one was carried out")
			}
		})
	}
}

// A clock that was ten years ahead for a while must not lock every command until then, and what was carried out then stays so.
func TestAClockThatWasAheadLocksNothing(t *testing.T) {
	now := time.Now()
	ahead := now.Add(10 * 365 * 24 * time.Hour)
	dir := t.TempDir()
	first := newDownlinkRigAt(t, dir, now)
	if done, _ := first.carried(t, "a", hundred(now)...); done != 100 {
		t.Fatal(done)
	}
	first.at(ahead)
	if done, _ := first.carried(t, "b", hundred(ahead)...); done != 100 {
		t.Fatal(done)
	}
	first.at(ahead.Add(time.Hour))
	first.journal.file.Close()
	first.journal.file = nil // as after a disk error: the next one makes a new file
	if done, _ := first.carried(t, "c", ahead.Add(time.Hour+time.Minute)); done != 1 || len(first.journal.entries) != 1 {
		t.Fatal(done, len(first.journal.entries))
	}
	first.stop()
	right := newDownlinkRigAt(t, dir, now.Add(10*time.Second))
	if done, _ := right.carried(t, "a", hundred(now)...); done != 0 {
		t.Errorf("%d carried out twice", done)
	}
	if done, _ := right.carried(t, "new", now.Add(time.Hour), now.Add(23*time.Hour)); done != 2 {
		t.Errorf("%d of 2 new ones carried out", done)
	}
	right.stop()
	then := restarted(t, dir, ahead) // ten years later
	if done, _ := then.carried(t, "b", hundred(ahead)...); done != 0 {
		t.Errorf("%d carried out twice", done)
	}
}

// Commands of a clock that was ahead would fill the journal until their time comes.
func TestAJournalFullOfTheFutureMakesRoom(t *testing.T) {
	now := time.Now()
	ahead := now.Add(10 * 365 * 24 * time.Hour)
	j := openTestJournal(t, t.TempDir())
	for i := range journalMax {
		id := fmt.Sprint(i)
		j.entries[id] = &journalEntry{ID: id, Expires: ahead.UnixMilli(), Reply: &wire.Reply{ID: id, OK: true}}
	}
	if err := j.begin(testCommand("now", now.Add(time.Minute)), now); err != nil {
		t.Fatal(err)
	}
	if code, _ := j.due(now.Add(2*time.Minute).UnixMilli(), now); code != "" {
		t.Error(code)
	}
	if code, detail := j.due(ahead.UnixMilli(), ahead.Add(-time.Minute)); code != wire.Expired || !strings.Contains(detail,
		"an expires after that") {
		t.Error(code, detail)
	}
}

func TestMarks(t *testing.T) {
	const day = int64(24 * time.Hour / time.Millisecond)
	var m marks
	for i := range int64(100) {
		m = m.with(i*3*day, i*3*day) // a command each third day
	}
	m = m.with(5000*day, 5000*day+7)
	if len(m) != marksMax || m[0].Low != 0 || m[marksMax-1] != (stretch{5000 * day, 5000*day + 7}) ||
		m[marksMax-2].High != 297*day {
		t.Errorf("%+v", m)
	}
	for at, want := range map[int64]int64{-2 * day: 0, 0: m[0].High, 297 * day: 297 * day, 4998 * day: 297 * day,
		4999 * day: 5000*day + 7} {
		if got := m.reach(at); got != want {
			t.Errorf("at day %d: %d, want %d", at/day, got, want)
		}
	}
	if m := (marks{}).with(10, 10).with(5, 5).with(10+day, 10+day).with(10+3*day, 10+3*day); len(m) != 2 || m[0] != (stretch{5,
		10 + day}) {
		t.Errorf("%+v", m)
	}
}

// Whatever became of the journal: it is said, with what it means, the damaged file is kept, and what it knew is not carried out
// twice.
func TestAJournalThatWasDamagedIsSaid(t *testing.T) {
	now := time.Now()
	file := func(change func(p []byte) []byte) func(dir string) error {
		return func(dir string) error {
			p, err := os.ReadFile(filepath.Join(dir, journalFile))
			return errors.Join(err, os.WriteFile(filepath.Join(dir, journalFile), change(p), 0o600))
		}
	}
	for name, c := range map[string]struct {
		damage func(dir string) error
		says   string
	}{
		"emptied": {file(func([]byte) []byte { return nil }), "it has 0 bytes"},
		"removed": {func(dir string) error { return os.Remove(filepath.Join(dir, journalFile)) },
			"no such file"},
		"zeros":  {file(func(p []byte) []byte { return make([]byte, len(p)) }), "100 of its 100 commands are missing"},
		"halved": {file(func(p []byte) []byte { return p[:len(p)/2] }), "of its 100 commands are missing"},
		"a line less": {file(func(p []byte) []byte { return p[:strings.Index(string(p), `{"id":"a99"`)] }),
			"1 of its 100 commands are missing"},
		"a bit": {file(func(p []byte) []byte { p[strings.Index(string(p), `"a50"`)+2] ^= 1; return p }),
			"1 of its 201 lines are damaged"},
		"an expires": {file(func(p []byte) []byte {
			return []byte(strings.Replace(string(p), `"expires":1`, `"expires":2`, 1))
		}), "1 of its 201 lines are damaged"},
		"the head": {file(func(p []byte) []byte { return append([]byte("x"), p...) }), "1 of its 201 lines are damaged"},
		"a sum": {file(func(p []byte) []byte { return []byte(strings.Replace(string(p), `"sum"`, `"sun"`, 2)) }),
			"lines are damaged"},
		"noise": {file(func(p []byte) []byte { return []byte(strings.Repeat("\x1b\xff rot\n", 100)) }),
			"100 of its 100 lines are damaged"},
		"one endless": {file(func(p []byte) []byte { return append(p, strings.Repeat("x", 3*lineMost)+"\n"...) }),
			"1 of its 202 lines are damaged"},
		"too large": {func(dir string) error { return os.Truncate(filepath.Join(dir, journalFile), 1<<30) },
			"1073741824 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			first := newDownlinkRigAt(t, dir, now)
			if done, _ := first.carried(t, "a", hundred(now)...); done != 100 {
				t.Fatalf("%d carried out", done)
			}
			first.stop()
			if err := c.damage(dir); err != nil {
				t.Fatal(err)
			}
			second := newDownlinkRigAt(t, dir, now.Add(time.Second))
			why := second.Why()
			if !strings.Contains(why, "the command journal is damaged") || !strings.Contains(why, c.says) ||
				!strings.Contains(why, "is refused") {
				t.Errorf("why: %s", why)
			}
			if _, err := os.Stat(filepath.Join(dir, journalCorrupt)); err != nil && name != "removed" {
				t.Error(err)
			}
			if done, _ := second.carried(t, "a", hundred(now)...); done != 0 {
				t.Errorf("%d carried out twice", done)
			}
			last := hundred(now)[99]
			if done, expired := second.carried(t, "b", last, last.Add(time.Millisecond)); done != 1 || expired != 1 {
				t.Errorf("of two new ones %d are carried out, %d expired", done, expired)
			}
			second.stop()
			third := restarted(t, dir, now.Add(2*time.Second))
			if third.Why() != "" {
				t.Errorf("why after another restart: %s", third.Why())
			}
			if done, _ := third.carried(t, "a", hundred(now)...); done != 0 {
				t.Errorf("%d carried out twice after another restart", done)
			}
		})
	}
}

// Without a witness, as after an upgrade, nothing is known of what was lost: it is said, and commands go on.
func TestADamagedJournalOfAnOlderAgentIsSaid(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	text := fmt.Sprintf(`{"id":"a","name":"meter","expires":%d,"reply":{"id":"a","ok":true}}`+"\nrot\n",
		now.Add(time.Minute).UnixMilli())
	if err := os.WriteFile(filepath.Join(dir, journalFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := restarted(t, dir, now)
	if why := r.Why(); !strings.Contains(why, "1 of its 2 lines") || !strings.Contains(why,
		"may be carried out again if they are sent again") {
		t.Error(why)
	}
	r.send("meter", fmt.Sprintf(`{"id":"a","expires":%d,"text":"x"}`, now.Add(time.Minute).UnixMilli()), false)
	if _, reply := r.reply(t); !reply.OK || len(r.written) != 0 {
		t.Errorf("%+v", reply)
	}
	if done, _ := r.carried(t, "b", now.Add(time.Minute)); done != 1 {
		t.Error("a new one is refused")
	}
}

// An older agent reads what we write, and writes it anew without head and sums: when we come back nothing is amiss.
func TestAnOlderAgentInBetween(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	r := newDownlinkRigAt(t, dir, now)
	r.carried(t, "a", hundred(now)...)
	r.stop()
	if err := os.WriteFile(filepath.Join(dir, journalFile), fmt.Appendf(nil,
		`{"id":"a7","name":"meter","expires":%d,"reply":{"id":"a7","ok":true}}`+"\n",
		now.Add(time.Hour).UnixMilli()), 0o600); err != nil {
		t.Fatal(err)
	}
	again := restarted(t, dir, now)
	if why := again.Why(); why != "" {
		t.Error(why)
	}
	if done, _ := again.carried(t, "b", now.Add(time.Minute)); done != 1 {
		t.Error("a new one is refused")
	}
	if third := restarted(t, dir, now); third.Why() != "" {
		t.Error(third.Why())
	}
}

// What stands where the journal should be is not waited for, and no command is carried out past it.
func TestAFIFOInPlaceOfTheJournal(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	if err := mkfifo(filepath.Join(dir, journalFile)); err != nil {
		t.Skip(err)
	}
	r := restarted(t, dir, now)
	if why := r.Why(); !strings.Contains(why, "a FIFO is in the way") || !strings.Contains(why, "remove it") {
		t.Error(why)
	}
	r.send("meter", fmt.Sprintf(`{"id":"a","expires":%d,"text":"x"}`, now.Add(time.Minute).UnixMilli()), false)
	if _, reply := r.reply(t); reply.Error != wire.Failed || !strings.Contains(reply.Detail, "at most once cannot be kept") ||
		len(r.written) != 0 {
		t.Errorf("%+v", reply)
	}
}
