package statedir

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
)

// TestAHugeFileIsSetAsideUnread: 300 MB where ledger.json or paths.json should be.
func TestAHugeFileIsSetAsideUnread(t *testing.T) {
	for name, content := range map[string]string{"a hole": "", "JSON to begin with": `{"layout":3,"counts":{"pear":7}}`} {
		t.Run(name, func(t *testing.T) {
			f, path := openFruit(t)
			if err := errors.Join(os.WriteFile(path, []byte(content), 0o600), os.Truncate(path, 300<<20)); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			doc, err := f.Load()
			runtime.ReadMemStats(&after)
			const want = "fruit.json has 314572800 bytes, at most 100 are read"
			if err == nil || !strings.Contains(err.Error(), want) || doc.Counts != nil {
				t.Errorf("%+v, %v", doc, err)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
				t.Errorf("%d bytes were allocated", n)
			}
			if info, err := f.Root.Stat(f.Aside()); err != nil || info.Size() != 300<<20 {
				t.Errorf("it was not set aside: %v", err)
			}
		})
	}
}
