package pathstore

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

var storeNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func openStore(t *testing.T, dir string) *Store {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return Open(root, zerolog.Nop(), func() time.Time { return storeNow }, clockIsSet)
}

func TestStoreSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	m := openStore(t, dir)
	k := heartbeat.Knowledge{Proven: 236500 * time.Millisecond, Failing: 240 * time.Second, Kind: heartbeat.Loose, At: storeNow}
	m.Remember("eth0 via 10.0.0.1 mqtts://a:8883", k)
	m.SaveBudget(heartbeat.BudgetState{Left: -17, At: storeNow})
	m.write()
	again := openStore(t, dir)
	if got, ok := again.Recall("eth0 via 10.0.0.1 mqtts://a:8883"); !ok || got.Proven != k.Proven || got.Failing != k.Failing ||
		got.Kind != k.Kind || !got.At.Equal(k.At) {
		t.Errorf("recalled %+v, %v", got, ok)
	}
	if b := again.Budget(); b.Left != -17 || !b.At.Equal(storeNow) {
		t.Errorf("budget %+v", b)
	}
	if _, ok := again.Recall("wwan0"); ok || again.Why() != "" {
		t.Errorf("why %q", again.Why())
	}
}

func clockIsSet() bool { return false }

// A gateway without a battery for its clock begins in 1970, and learns the time from the network.
func TestStoreOfAClockThatIsNotSet(t *testing.T) {
	dir := t.TempDir()
	m := openStore(t, dir)
	k := heartbeat.Knowledge{Proven: time.Minute, At: storeNow}
	m.Remember("before", k)
	m.SaveBudget(heartbeat.BudgetState{Left: 5, At: storeNow})
	m.write()

	now, unset := time.Unix(60, 0), true
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	boot := func() *Store {
		return Open(root, zerolog.Nop(), func() time.Time { return now }, func() bool { return unset })
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
	now, unset = storeNow.Add(time.Hour), false
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

func TestStoreIsJudgedAtLoad(t *testing.T) {
	at := func(d time.Duration) int64 { return storeNow.Add(d).UnixMilli() }
	file := fmt.Sprintf(`{"layout":1,"budget":{"left":5,"at":%d},"paths":{"old":{"proven_s":60,"kind":"loose","at":%d},
		"fresh":{"proven_s":60,"kind":"strict","at":%d},"future":{"proven_s":70,"kind":"","at":%[4]d},"absurd":{"proven_s":1e300,"kind":"","at":%[3]d},"negative":{"proven_s":60,"failing_s":-1,"kind":"","at":%[3]d},"empty":{"proven_s":0,"kind":"","at":%[5]d}}}`,
		at(time.Hour), at(-31*24*time.Hour), at(-29*24*time.Hour), at(5*time.Hour), at(0))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, storeFile), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	m := openStore(t, dir)
	for path, want := range map[string]bool{"old": false, "absurd": false, "negative": false, "fresh": true, "future": true,
		"empty": false} {
		k, ok := m.Recall(path)
		if ok != want || k.At.After(storeNow) {
			t.Errorf("%s: %+v, %v", path, k, ok)
		}
	}
	if b := m.Budget(); b.At.After(storeNow) {
		t.Errorf("budget %+v is of the future", b)
	}
}

func TestACorruptStoreIsSetAside(t *testing.T) {
	for name, content := range map[string]string{"torn": `{"layout":1,"pa`, "another layout": `{"layout":9}`,
		"zeros": strings.Repeat("\x00", 4096), "too long": `{"layout":1}` + strings.Repeat(" ", storeMax)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, storeFile), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			m := openStore(t, dir)
			if !strings.Contains(m.Why(), "starts again") {
				t.Errorf("why %q", m.Why())
			}
			if kept, err := os.ReadFile(filepath.Join(dir, m.file.Aside())); err != nil || string(kept) != content {
				t.Errorf("set aside: %d bytes, %v", len(kept), err)
			}
			m.Remember("a", heartbeat.Knowledge{Proven: time.Minute})
			m.write()
			if again := openStore(t, dir); again.Why() != "" {
				t.Errorf("said again: %q", again.Why())
			} else if _, ok := again.Recall("a"); !ok {
				t.Error("does not keep again")
			}
			if m.now = func() time.Time { return storeNow.Add(2 * time.Hour) }; m.Why() != "" {
				t.Errorf("said for ever: %q", m.Why())
			}
		})
	}
}

func TestStoreIsBounded(t *testing.T) {
	m := openStore(t, t.TempDir())
	now := storeNow
	m.now = func() time.Time { return now }
	for i := range 3 * storePaths {
		now = now.Add(time.Second)
		m.Remember(fmt.Sprint(i), heartbeat.Knowledge{Proven: time.Minute})
	}
	if _, ok := m.Recall("0"); ok || len(m.doc.Paths) != storePaths {
		t.Errorf("%d paths", len(m.doc.Paths))
	}
}

func TestStoreWritesSeldomAndAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		m := openStore(t, dir)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = m.Run(ctx) }()
		writes, last := 0, ""
		for i := range 100 {
			m.Remember("a", heartbeat.Knowledge{Proven: time.Duration(i+1) * time.Second})
			time.Sleep(time.Second)
			synctest.Wait()
			if p, err := os.ReadFile(filepath.Join(dir, storeFile)); err == nil && string(p) != last {
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
	if k, _ := openStore(t, dir).Recall("a"); k.Proven != time.Hour {
		t.Errorf("last word lost: %+v", k)
	}
}

// TestAFullStoreFitsItsFile keeps as many paths as there may be, with the longest names, and reads them again.
func TestAFullStoreFitsItsFile(t *testing.T) {
	dir := t.TempDir()
	m := openStore(t, dir)
	name := func(i int) string { return fmt.Sprintf("%03d%s", i, strings.Repeat("\"", storeName-3)) }
	for i := range storePaths {
		m.Remember(name(i), heartbeat.Knowledge{Proven: 236123456789, Failing: 240123456789})
	}
	m.Remember(name(0)+"x", heartbeat.Knowledge{Proven: time.Minute})
	m.write()
	again := openStore(t, dir)
	if len(again.doc.Paths) != storePaths || again.Why() != "" {
		t.Errorf("%d paths, why %q", len(again.doc.Paths), again.Why())
	}
	if _, ok := again.Recall(name(0) + "x"); ok {
		t.Error("a name beyond all measure is kept")
	}
}

func TestAStoreThatCannotBeWrittenIsSaidAndTriedAgain(t *testing.T) {
	dir := t.TempDir()
	m := openStore(t, dir)
	if err := os.Mkdir(filepath.Join(dir, storeFile+".tmp"), 0o700); err != nil {
		t.Fatal(err)
	}
	m.Remember("a", heartbeat.Knowledge{Proven: time.Minute})
	<-m.dirty
	if err := os.WriteFile(filepath.Join(dir, storeFile+".tmp", "in the way"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	m.write()
	if !strings.Contains(m.Why(), "could not be saved") {
		t.Errorf("why %q", m.Why())
	}
	if err := os.RemoveAll(filepath.Join(dir, storeFile+".tmp")); err != nil {
		t.Fatal(err)
	}
	if _ = m.last(); m.Why() != "" {
		t.Errorf("not tried again: %q", m.Why())
	}
}

// Earlier versions kept the query of the server's URL in the name, which may be a token.
func TestStoreFindsPathsUnderTheirOldNames(t *testing.T) {
	dir := t.TempDir()
	old := fmt.Sprintf(`{"layout":1,"paths":{
		"eth0 via 10.0.0.1 wss://a/mqtt?token=old":{"proven_s":60,"kind":"loose","at":%d},
		"eth0 via 10.0.0.1 wss://a/mqtt?token=new":{"proven_s":90,"kind":"loose","at":%d},
		"eth0 via 10.0.0.1 mqtts://b:8883":{"proven_s":30,"kind":"loose","at":%[1]d}}}`,
		storeNow.Add(-time.Hour).UnixMilli(), storeNow.UnixMilli())
	if err := os.WriteFile(filepath.Join(dir, storeFile), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	m := openStore(t, dir)
	for path, want := range map[string]time.Duration{"eth0 via 10.0.0.1 wss://a/mqtt": 90 * time.Second,
		"eth0 via 10.0.0.1 mqtts://b:8883": 30 * time.Second} {
		if k, ok := m.Recall(path); !ok || k.Proven != want {
			t.Errorf("%s: %+v, %v", path, k, ok)
		}
	}
	if err := m.last(); err != nil { // without anything learnt
		t.Fatal(err)
	}
	p, err := os.ReadFile(filepath.Join(dir, storeFile))
	if err != nil || strings.Contains(string(p), "token") {
		t.Errorf("%s, %v", p, err)
	}
}
