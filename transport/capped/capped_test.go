//go:build unix

package capped

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
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

func sparse(t *testing.T, size int64) (root *os.Root, name, path string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	path = filepath.Join(dir, "huge")
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	return root, "huge", path
}

func TestAHugeFileIsNotRead(t *testing.T) {
	root, name, path := sparse(t, huge)
	for what, read := range map[string]func() error{
		"ReadFile": func() error { _, err := ReadFile(path, 1000); return err },
		"ReadIn":   func() error { _, err := ReadIn(root, name, 1000); return err },
		"OpenIn":   func() error { _, err := OpenIn(root, name, 1000); return err },
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
	root, name, path := sparse(t, 1000)
	for what, read := range map[string]func() ([]byte, error){
		"ReadFile": func() ([]byte, error) { return ReadFile(path, 1000) },
		"ReadIn":   func() ([]byte, error) { return ReadIn(root, name, 1000) },
	} {
		if p, err := read(); err != nil || len(p) != 1000 {
			t.Errorf("%s: %d bytes, %v", what, len(p), err)
		}
	}
}

// A pipe in a directory of ours would hold up the start for ever.
func TestAPipeInOurDirectoryIsNotWaitedFor(t *testing.T) {
	root, _, path := sparse(t, 1)
	if err := syscall.Mkfifo(path+".fifo", 0o600); err != nil {
		t.Skip(err)
	}
	for _, name := range []string{"huge.fifo", "."} {
		if _, err := ReadIn(root, name, 1000); err == nil || !strings.Contains(err.Error(), "no regular file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
