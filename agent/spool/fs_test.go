package spool

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What a stranger put where a file of the spool is to be is neither waited for nor followed; the records wait in memory, and why
// says what to remove.
func TestASpoolWithSomethingInTheWay(t *testing.T) {
	for _, name := range []string{metaFile, metaTemp, cursorFile} {
		for what, put := range map[string]func(path string) error{
			"FIFO":          func(path string) error { return unix.Mkfifo(path, 0o600) },
			"symbolic link": func(path string) error { return os.Symlink("precious", path) },
		} {
			t.Run(name+" "+what, func(t *testing.T) {
				dir := t.TempDir()
				precious := filepath.Join(dir, "precious")
				if err := errors.Join(os.WriteFile(precious, []byte("target"), 0o600), put(filepath.Join(dir,
					name))); err != nil {
					t.Fatal(err)
				}
				s, err := Open(Dir(dir), Options{WriteAfter: time.Hour})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := s.Append("meter", []byte("frame")); err != nil {
					t.Error(err)
				}
				records, err := s.Reader(nil).Next(nil, 1, 1<<10)
				if err != nil || len(records) != 1 {
					t.Fatalf("%v, %v", records, err)
				}
				if why := s.Status().Why; name != cursorFile && (!strings.Contains(why, what) || !strings.Contains(why,
					"remove it")) {
					t.Errorf("why: %s", why)
				}
				_ = s.Close() // it says what it could not write
				if p, err := os.ReadFile(precious); err != nil || string(p) != "target" {
					t.Errorf("target: %q, %v", p, err)
				}
				if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode().IsRegular() {
					t.Errorf("it was replaced: %v, %v", info, err)
				}
			})
		}
	}
}
