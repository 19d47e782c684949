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

// A file of the spool that was emptied, garbled or torn is said, for an hour; one that is whole, or was never there, is not.
func TestWhatAStartFindsDamagedIsSaid(t *testing.T) {
	const record = "frame that waits"
	change := func(to func([]byte) []byte) func(string) error {
		return func(path string) error {
			p, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(path, to(p), 0o600))
		}
	}
	emptied := change(func([]byte) []byte { return nil })
	garbled := change(func(p []byte) []byte {
		for i := range p {
			p[i] ^= 0x5a
		}
		return p
	})
	torn := change(func(p []byte) []byte { return p[:min(len(p)*2/3, 20)] })
	large := func(path string) error { return os.Truncate(path, 300_000_000) }
	for name, c := range map[string]struct {
		file   string
		damage func(path string) error
		want   string
	}{
		"whole":          {metaFile, func(string) error { return nil }, ""},
		"meta emptied":   {metaFile, emptied, "meta (its checksum is wrong)"},
		"meta garbled":   {metaFile, garbled, "meta (its checksum is wrong)"},
		"meta torn":      {metaFile, torn, "a new epoch has begun"},
		"meta of 300 MB": {metaFile, large, "meta (300000000 bytes"},
		"meta is away":   {metaFile, os.Remove, ""},
		"cursor emptied": {cursorFile, emptied, "cursor (its checksums are wrong): what was acknowledged may be sent once more"},
		"cursor garbled": {cursorFile, garbled, "cursor (its checksums"},
		"cursor torn":    {cursorFile, torn, "cursor (its checksums"},
		"seg emptied":    {"", emptied, ".seg is empty"},
		"seg garbled":    {"", garbled, "1 stretches of its segments"},
		"seg torn":       {"", torn, "1 stretches of its segments"},
		"seg of 300 MB":  {"", large, "1 stretches of its segments"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, now := t.TempDir(), time.Unix(1_800_000_000, 0)
			o := Options{Now: func() time.Time { return now }}
			s, err := Open(Dir(dir), o)
			if err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if _, err := s.Append("meter", []byte(record)); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(s.Ack(1), s.Close()); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, c.file)
			if c.file == "" {
				path = filepath.Join(dir, segmentName(1))
			}
			if err := c.damage(path); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(Dir(dir), o); err != nil {
				t.Fatal(err)
			}
			if why := s.Status().Found; why == "" != (c.want == "") || !strings.Contains(why, c.want) {
				t.Errorf("why: %q", why)
			}
			if now = now.Add(damageSaid); s.Status().Found != "" {
				t.Errorf("after an hour: %q", s.Status().Found)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(Dir(dir), o); err != nil {
				t.Fatal(err)
			}
			if why := s.Status().Found; why != "" && !strings.Contains(name, "cursor") {
				t.Errorf("at the next start: %q", why)
			}
			_ = s.Close()
		})
	}
}

// A name that looks like a segment's is no reason to remove what is not ours.
func TestWhatStandsWhereASegmentShouldIsLeftAlone(t *testing.T) {
	for what, put := range map[string]func(path string) error{
		"FIFO":          func(path string) error { return unix.Mkfifo(path, 0o600) },
		"symbolic link": func(path string) error { return os.Symlink("precious", path) },
		"directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"a file of": func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("x"), 0o644), os.Chown(path, 65534, 65534))
		},
	} {
		t.Run(what, func(t *testing.T) {
			if os.Geteuid() != 0 && what == "a file of" {
				t.Skip("root is needed to give a file to somebody else")
			}
			dir := t.TempDir()
			path := filepath.Join(dir, segmentName(1))
			if err := put(path); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			s, err := Open(Dir(dir), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if why := s.Status().Found; !strings.Contains(why, segmentName(1)) || !strings.Contains(why, what) {
				t.Errorf("why: %q", why)
			}
			_ = s.Close()
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("it was removed: %v", err)
			}
		})
	}
}
