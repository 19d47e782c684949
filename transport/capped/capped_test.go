//go:build unix

package capped

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
)

const huge = 300 << 20 // bytes of a file with a hole, which takes no room on the disk

// allocated is what f allocates in all, in bytes.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func sparse(t *testing.T, size int64) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "huge")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAHugeFileIsNotRead(t *testing.T) {
	path := sparse(t, huge)
	for what, read := range map[string]func() error{
		"ReadFile": func() error { _, err := ReadFile(path, 1000); return err },
		"a device": func() error { _, err := ReadFile("/dev/zero", 1000); return err },
		"a file system": func() error {
			_, err := ReadFS(fstest.MapFS{"serial": {Data: make([]byte, 1001)}}, "serial", 1000)
			return err
		},
		"a file of the kernel, which has no size": func() error { _, err := ReadFile("/proc/self/maps", 10); return err },
	} {
		t.Run(what, func(t *testing.T) {
			var err error
			n := allocated(func() { err = read() })
			var large *TooLarge
			if !errors.As(err, &large) || !strings.Contains(err.Error(), "at most 10") {
				t.Errorf("%v", err)
			}
			if n > 64<<10 {
				t.Errorf("%d bytes were allocated", n)
			}
		})
	}
}

func TestWhatFitsIsRead(t *testing.T) {
	path := sparse(t, 1000)
	if p, err := ReadFile(path, 1000); err != nil || len(p) != 1000 {
		t.Errorf("%d bytes, %v", len(p), err)
	}
}
