package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

var memoryNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func openedMemory(t *testing.T, dir string) *memory {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return openMemory(root, zerolog.Nop(), func() time.Time { return memoryNow }, clockIsSet)
}

func TestMemorySurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	m := openedMemory(t, dir)
	k := heartbeat.Knowledge{Proven: 236500 * time.Millisecond, Failing: 240 * time.Second, Kind: heartbeat.Loose, At: memoryNow}
	m.Remember("eth0 via 10.0.0.1 mqtts://a:8883", k)
	m.SaveBudget(heartbeat.BudgetState{Left: -17, At: memoryNow})
	m.write()
	again := openedMemory(t, dir)
	if got, ok := again.Recall("eth0 via 10.0.0.1 mqtts://a:8883"); !ok || got.Proven != k.Proven || got.Failing != k.Failing || got.Kind != k.Kind || !got.At.Equal(k.At) {
		t.Errorf("recalled %+v, %v", got, ok)
	}
	if b := again.Budget(); b.Left != -17 || !b.At.Equal(memoryNow) {
		t.Errorf("budget %+v", b)
	}
	if _, ok := again.Recall("wwan0"); ok || again.why() != "" {
		t.Errorf("why %q", again.why())
	}
}

func clockIsSet() bool { return false }

// A gateway without a battery for its clock begins in 1970, and learns the time from the network.
func TestMemoryOfAClockThatIsNotSet(t *testing.T) {
	dir := t.TempDir()
	m := openedMemory(t, dir)
	k := heartbeat.Knowledge{Proven: time.Minute, At: memoryNow}
	m.Remember("before", k)
	m.SaveBudget(heartbeat.BudgetState{Left: 5, At: memoryNow})
	m.write()

	now, unset := time.Unix(60, 0), true
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	boot := func() *memory {
		return openMemory(root, zerolog.Nop(), func() time.Time { return now }, func() bool { return unset })
	}
	m = boot()
	if b := m.Budget(); b.Left != 5 || !b.At.Equal(now) {
		t.Errorf("budget %+v", b)
	}
	m.Remember("meanwhile", k)
	m.SaveBudget(heartbeat.BudgetState{Left: 3, At: now})
	m.write()
	for _, path := range []string{"before", "meanwhile"} {
		if _, ok := m.Recall(path); !ok {
			t.Errorf("%s: forgotten while the clock was not set", path)
		}
	}
	now, unset = memoryNow.Add(time.Hour), false
	for range 2 {
		for _, path := range []string{"before", "meanwhile"} {
			if _, ok := m.Recall(path); !ok {
				t.Errorf("%s: forgotten after the clock was set", path)
			}
		}
		m = boot()
		if b := m.Budget(); b.Left != 3 || !b.At.Equal(now) {
			t.Errorf("budget %+v", b)
		}
	}
}

func TestMemoryIsJudgedAtLoad(t *testing.T) {
	at := func(d time.Duration) int64 { return memoryNow.Add(d).UnixMilli() }
	file := fmt.Sprintf(`{"layout":1,"budget":{"left":5,"at":%d},"paths":{"old":{"proven_s":60,"kind":"loose","at":%d},
		"fresh":{"proven_s":60,"kind":"strict","at":%d},"future":{"proven_s":70,"kind":"","at":%[4]d},"absurd":{"proven_s":1e300,"kind":"","at":%[3]d},"negative":{"proven_s":60,"failing_s":-1,"kind":"","at":%[3]d},"empty":{"proven_s":0,"kind":"","at":%[5]d}}}`,
		at(time.Hour), at(-31*24*time.Hour), at(-29*24*time.Hour), at(5*time.Hour), at(0))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, memoryFile), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	m := openedMemory(t, dir)
	for path, want := range map[string]bool{"old": false, "absurd": false, "negative": false, "fresh": true, "future": true, "empty": false} {
		k, ok := m.Recall(path)
		if ok != want || k.At.After(memoryNow) {
			t.Errorf("%s: %+v, %v", path, k, ok)
		}
	}
	if b := m.Budget(); b.At.After(memoryNow) {
		t.Errorf("budget %+v is of the future", b)
	}
}

func TestACorruptMemoryIsSetAside(t *testing.T) {
	for name, content := range map[string]string{"torn": `{"layout":1,"pa`, "another layout": `{"layout":9}`, "zeros": strings.Repeat("\x00", 4096),
		"too long": `{"layout":1}` + strings.Repeat(" ", memoryMax)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, memoryFile), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			m := openedMemory(t, dir)
			if !strings.Contains(m.why(), "begins anew") {
				t.Errorf("why %q", m.why())
			}
			if kept, err := os.ReadFile(filepath.Join(dir, memoryAside)); err != nil || string(kept) != content {
				t.Errorf("set aside: %d bytes, %v", len(kept), err)
			}
			m.Remember("a", heartbeat.Knowledge{Proven: time.Minute})
			m.write()
			if again := openedMemory(t, dir); again.why() != "" {
				t.Errorf("said again: %q", again.why())
			} else if _, ok := again.Recall("a"); !ok {
				t.Error("does not keep again")
			}
			if m.now = func() time.Time { return memoryNow.Add(2 * time.Hour) }; m.why() != "" {
				t.Errorf("said for ever: %q", m.why())
			}
		})
	}
}

func TestMemoryIsBounded(t *testing.T) {
	m := openedMemory(t, t.TempDir())
	now := memoryNow
	m.now = func() time.Time { return now }
	for i := range 3 * memoryPaths {
		now = now.Add(time.Second)
		m.Remember(fmt.Sprint(i), heartbeat.Knowledge{Proven: time.Minute})
	}
	if _, ok := m.Recall("0"); ok || len(m.doc.Paths) != memoryPaths {
		t.Errorf("%d paths", len(m.doc.Paths))
	}
}

func TestMemoryWritesSeldomAndAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := openedMemory(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = m.run(ctx) }()
		writes, last := 0, ""
		for i := range 100 {
			m.Remember("a", heartbeat.Knowledge{Proven: time.Duration(i+1) * time.Second})
			time.Sleep(time.Second)
			synctest.Wait()
			if p, err := os.ReadFile(filepath.Join(dir, memoryFile)); err == nil && string(p) != last {
				writes, last = writes+1, string(p)
			}
		}
		m.Remember("a", heartbeat.Knowledge{Proven: time.Hour})
		cancel()
		<-done
		if writes < 9 || writes > 11 {
			t.Errorf("%d writes in 100 s", writes)
		}
	})
	if k, _ := openedMemory(t, dir).Recall("a"); k.Proven != time.Hour {
		t.Errorf("last word lost: %+v", k)
	}
}

// TestAFullMemoryFitsItsFile keeps as many paths as there may be, with the longest names, and reads them again.
func TestAFullMemoryFitsItsFile(t *testing.T) {
	dir := t.TempDir()
	m := openedMemory(t, dir)
	name := func(i int) string { return fmt.Sprintf("%03d%s", i, strings.Repeat("\"", memoryName-3)) }
	for i := range memoryPaths {
		m.Remember(name(i), heartbeat.Knowledge{Proven: 236123456789, Failing: 240123456789})
	}
	m.Remember(name(0)+"x", heartbeat.Knowledge{Proven: time.Minute})
	m.write()
	again := openedMemory(t, dir)
	if len(again.doc.Paths) != memoryPaths || again.why() != "" {
		t.Errorf("%d paths, why %q", len(again.doc.Paths), again.why())
	}
	if _, ok := again.Recall(name(0) + "x"); ok {
		t.Error("a name beyond all measure is kept")
	}
}

func TestAMemoryThatCannotBeWrittenIsSaidAndTriedAgain(t *testing.T) {
	dir := t.TempDir()
	m := openedMemory(t, dir)
	if err := os.Mkdir(filepath.Join(dir, memoryFile+".tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	m.Remember("a", heartbeat.Knowledge{Proven: time.Minute})
	<-m.dirty
	if err := os.WriteFile(filepath.Join(dir, memoryFile+".tmp", "in the way"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.write()
	if !strings.Contains(m.why(), "could not be kept") {
		t.Errorf("why %q", m.why())
	}
	if err := os.RemoveAll(filepath.Join(dir, memoryFile+".tmp")); err != nil {
		t.Fatal(err)
	}
	if _ = m.last(); m.why() != "" {
		t.Errorf("not tried again: %q", m.why())
	}
}
