package downlink

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

func openTestJournal(t *testing.T, dir string) *Journal {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	j, err := OpenJournal(root, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func testCommand(id string, expires time.Time) command {
	return command{name: "meter", id: id, expires: expires.UnixMilli()}
}

func TestJournalOverARestart(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	j := openTestJournal(t, dir)
	for _, id := range []string{"finished", "cut"} {
		if err := j.begin(testCommand(id, now.Add(time.Minute)), now); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.lookup("cut"); err != errRunning {
		t.Fatalf("a running command: %v", err)
	}
	if err := j.finish("finished", wire.Reply{ID: "finished", OK: true}); err != nil {
		t.Fatal(err)
	}

	after := openTestJournal(t, dir) // the first one was killed: not closed
	if r, err := after.lookup("finished"); err != nil || r == nil || !r.OK {
		t.Fatalf("finished before the restart: %+v, %v", r, err)
	}
	if r, err := after.lookup("cut"); err != errRunning || r != nil {
		t.Fatalf("cut by the restart and not answered yet: %+v, %v", r, err)
	}
	if len(after.cut) != 1 || after.cut[0].ID != "cut" || after.cut[0].Name != "meter" {
		t.Fatalf("to be answered: %+v", after.cut)
	}
	if r, err := after.lookup("never seen"); r != nil || err != nil {
		t.Fatalf("never seen: %+v, %v", r, err)
	}
}

// What an agent from before the head and the sums left is read, its torn last line apart.
func TestJournalSkipsTornLines(t *testing.T) {
	dir := t.TempDir()
	text := `{"id":"a","name":"meter","expires":1,"reply":{"id":"a","ok":true}}` + "\n" + `{"id":"b","na`
	if err := os.WriteFile(dir+"/"+journalFile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	j := openTestJournal(t, dir)
	if r, _ := j.lookup("a"); r == nil || !r.OK {
		t.Fatal("the whole line is lost")
	}
	if len(j.entries) != 1 || len(j.cut) != 0 {
		t.Fatalf("%d entries", len(j.entries))
	}
}

func TestJournalIsBounded(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	j := openTestJournal(t, dir)
	j.entries = map[string]*journalEntry{}
	for i := range journalMax {
		id := fmt.Sprint(i)
		j.entries[id] = &journalEntry{ID: id, Expires: now.UnixMilli(), Reply: &wire.Reply{ID: id, OK: true}}
	}
	if err := j.begin(testCommand("one more", now.Add(time.Minute)), now); err != errJournalFull {
		t.Fatalf("full of commands that the clock does not refuse yet: %v", err)
	}
	later := now.Add(journalMargin + time.Second)
	if err := j.begin(testCommand("one more", later.Add(time.Minute)), later); err != nil {
		t.Fatalf("the old ones are refused by the clock now: %v", err)
	}
	if len(j.entries) != 1 {
		t.Fatalf("%d entries kept", len(j.entries))
	}
	text, err := os.ReadFile(dir + "/" + journalFile)
	if err != nil || strings.Count(string(text), "\n") != 2 || !strings.HasPrefix(string(text), `{"gone":5120,`) {
		t.Fatalf("file %q, %v", text, err)
	}
}

func TestJournalWithoutADisk(t *testing.T) {
	j, err := OpenJournal(nil, time.Now())
	if err != errNoState {
		t.Fatal(err)
	}
	if err := j.begin(testCommand("a", time.Now().Add(time.Minute)), time.Now()); err == nil {
		t.Fatal("at most once was promised without a disk")
	}
}

// The default rate of one device, with commands that expire as ours do, never fills its share: the marks have what was forgotten.
func TestTheDefaultRateFitsIntoTheJournal(t *testing.T) {
	for _, ahead := range []time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute} {
		j, now := openTestJournal(t, t.TempDir()), time.Now()
		for i := range 20 * 600 {
			now = now.Add(100 * time.Millisecond)
			c := command{name: "m", id: fmt.Sprint(i), expires: now.Add(ahead).UnixMilli()}
			if err := j.room(c, now); err != nil {
				t.Fatalf("%s ahead, after %d: %v", ahead, i, err)
			}
			done := &wire.Reply{ID: c.id, OK: true}
			j.entries[c.id] = &journalEntry{ID: c.id, Name: c.name, Expires: c.expires, Reply: done}
			if len(j.entries) >= journalMax {
				if err := j.rewrite(now); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// What tells whether the journal is whole may be damaged itself: that is said, and the journal is believed.
func TestAWitnessThatWasDamagedIsSaid(t *testing.T) {
	for name, content := range map[string][]byte{"emptied": nil, "garbled": bytes.Repeat([]byte{0xa5}, seenBytes),
		"torn": []byte(`{"taken":1,"exp`), "300 MB": make([]byte, seenBytes+1)} {
		t.Run(name, func(t *testing.T) {
			root, err := os.OpenRoot(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			now := time.Now()
			j, err := OpenJournal(root, now)
			if err != nil || j.Why() != "" {
				t.Fatal(err, j.Why())
			}
			c := command{id: "a", name: "meter", expires: now.Add(time.Minute).UnixMilli()}
			if err := errors.Join(j.begin(c, now), j.finish("a", wire.Reply{ID: "a", OK: true}), j.close()); err != nil {
				t.Fatal(err)
			}
			if err := root.WriteFile(seenFile, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if j, err = OpenJournal(root, now); err == nil || !strings.Contains(j.Why(), seenFile) {
				t.Errorf("%v, why %q", err, j.Why())
			}
			if reply, err := j.lookup("a"); err != nil || reply == nil || !reply.OK {
				t.Errorf("the journal is not believed: %v, %v", reply, err)
			}
			c.id = "b"
			if err := errors.Join(j.begin(c, now), j.close()); err != nil {
				t.Fatal(err)
			}
			if j, err = OpenJournal(root, now); err != nil || j.Why() != "" {
				t.Errorf("after the next command: %v, why %q", err, j.Why())
			}
			_ = j.close()
		})
	}
}
