package downlink

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestAJournalThatIsNotOursIsBounded: whatever stands there, the start needs little memory for it, and commands go on.
func TestAJournalThatIsNotOursIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		write func(path string) error
		most  uint64 // bytes held after it was read
		why   string
	}{
		"300 MB of nothing": {func(path string) error {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(path, 300<<20)
		}, 1 << 20, "it has 314572800 bytes"},
		"a million lines": {func(path string) error {
			var b strings.Builder
			for i := range 1 << 19 {
				fmt.Fprintf(&b, `{"id":"%d","name":"meter","expires":1,"reply":{}}`+"\n", i)
			}
			return os.WriteFile(path, []byte(b.String()), 0o600)
		}, 8 << 20, " bytes"},
		"answers without end": {func(path string) error {
			var b strings.Builder
			for i := range 60 {
				fmt.Fprintf(&b, `{"id":"%d","name":"meter","expires":1,"reply":{"id":"%[1]d","ok":true,"text":"%s"}}`+"\n", i,
					strings.Repeat("x", 1000<<10))
			}
			return os.WriteFile(path, []byte(b.String()), 0o600)
		}, 8 << 20, " bytes"},
		"ids without end": {func(path string) error {
			line := `{"id":"` + strings.Repeat("x", 1000<<10) + `%d","name":"meter","expires":1}` + "\n"
			return os.WriteFile(path, []byte(strings.Repeat(line, 60)), 0o600)
		}, 2 << 20, " bytes"},
		"a folder": {func(path string) error { return os.Mkdir(path, 0o700) }, 1 << 20, "a directory is in the way"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := tt.write(filepath.Join(dir, journalFile)); err != nil {
				t.Fatal(err)
			}
			root, err := os.OpenRoot(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			j, err := OpenJournal(root, time.Now())
			runtime.GC()
			runtime.ReadMemStats(&after)
			if (err == nil) != (tt.why == "") || err != nil && !strings.Contains(err.Error(), tt.why) {
				t.Errorf("%v", err)
			}
			if n := int64(after.HeapAlloc) - int64(before.HeapAlloc); n > int64(tt.most) {
				t.Errorf("%d bytes are held", n)
			}
			if now := time.Now(); name != "a folder" {
				if err := j.begin(testCommand("next", now.Add(time.Minute)), now); err != nil {
					t.Errorf("a command after it: %v", err)
				}
			}
			runtime.KeepAlive(j)
		})
	}
}
