//go:build unix

package ownfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func openDir(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return root, dir
}

// obstacles put something in the way at path; each names what it is. Beside it lies "target" with "precious" in it.
func obstacles(t *testing.T) map[string]func(path string) error {
	all := map[string]func(path string) error{
		"a symbolic link":            func(path string) error { return os.Symlink("target", path) },
		"a symbolic link to nothing": func(path string) error { return os.Symlink("nothing", path) },
		"a symbolic link far away":   func(path string) error { return os.Symlink("/etc/hostname", path) },
		"a directory":                func(path string) error { return os.Mkdir(path, 0o700) },
		"a FIFO":                     func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a socket":                   socketAt,
	}
	if os.Geteuid() == 0 {
		all["a file of user 4711"] = func(path string) error {
			return errors.Join(os.WriteFile(path, []byte("precious"), 0o600), os.Chown(path, 4711, 4711))
		}
		all["a device"] = func(path string) error { return syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|5) }
	} else {
		t.Log("not root: a foreign file and a device are left out")
	}
	return all
}

func socketAt(path string) error {
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	at, err := os.Getwd()
	if err != nil {
		return err
	}
	defer os.Chdir(at)
	return errors.Join(os.Chdir(filepath.Dir(path)), syscall.Bind(fd, &syscall.SockaddrUnix{Name: filepath.Base(path)}))
}

// Whatever a stranger put where a file is to be, nothing is followed, waited for or changed.
func TestWhatIsInTheWayIsRefusedAndLeftAlone(t *testing.T) {
	ways := map[string]func(root *os.Root, path string) error{
		"replace": func(r *os.Root, path string) error { return Replace(r, "x", []byte("new")) },
		"by path": func(_ *os.Root, path string) error { return ReplacePath(path, func(*os.File) error { return nil }) },
		"make":    func(r *os.Root, _ string) error { _, err := Make(r, "x"); return err },
		"append":  func(r *os.Root, _ string) error { _, err := OpenOrMake(r, "x", os.O_WRONLY|os.O_APPEND); return err },
		"lock":    func(r *os.Root, _ string) error { _, err := OpenOrMake(r, "x", os.O_RDWR); return err },
		"open":    func(r *os.Root, _ string) error { _, err := Open(r, "x", os.O_RDWR); return err },
		"read":    func(r *os.Root, _ string) error { _, err := Read(r, "x", 100); return err },
		"draft":   func(r *os.Root, _ string) error { _, err := Begin(r, "x"); return err },
		"rename": func(r *os.Root, _ string) error {
			return errors.Join(r.WriteFile("y", nil, 0o600), Rename(r, "y", "x"))
		},
		"a draft's temporary name": func(r *os.Root, path string) error {
			return errors.Join(os.Rename(path, path+tempSuffix), Replace(r, "x", []byte("new")), os.Rename(path+tempSuffix, path))
		},
	}
	for what, put := range obstacles(t) {
		for way, try := range ways {
			t.Run(what+", "+way, func(t *testing.T) {
				root, dir := openDir(t)
				path := filepath.Join(dir, "x")
				if err := errors.Join(os.WriteFile(filepath.Join(dir, "target"), []byte("precious"), 0o600),
					put(path)); err != nil {
					t.Skip(err)
				}
				before, err := os.Lstat(path)
				if err != nil {
					t.Fatal(err)
				}
				err = try(root, path)
				if way == "read" && strings.HasPrefix(what, "a file") {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if !errors.Is(err, ErrInTheWay) || !strings.Contains(err.Error(), dir) {
					t.Fatalf("%v", err)
				}
				if kind, _, _ := strings.Cut(what, " to "); !strings.Contains(err.Error(), strings.TrimSuffix(kind,
					" far away")) {
					t.Errorf("%v does not say %s", err, what)
				}
				after, err := os.Lstat(path)
				if err != nil || !os.SameFile(before, after) || before.Mode() != after.Mode() || before.Size() != after.Size() {
					t.Errorf("it is another one now: %v, %v", after, err)
				}
				if p, err := os.ReadFile(filepath.Join(dir, "target")); err != nil || string(p) != "precious" {
					t.Errorf("target: %q, %v", p, err)
				}
				if _, err := os.Lstat(filepath.Join(dir, "nothing")); !errors.Is(err, fs.ErrNotExist) {
					t.Error("the end of a link was made")
				}
			})
		}
	}
}

func TestWhatIsOursIsReplacedWhole(t *testing.T) {
	root, dir := openDir(t)
	path := filepath.Join(dir, "x")
	for _, old := range []func() error{
		func() error { return nil },
		func() error { return os.WriteFile(path, []byte("an older and longer one"), 0o644) },
		func() error { return os.WriteFile(path+tempSuffix, []byte("half of one, of a crash"), 0o600) },
		func() error { return errors.Join(os.Remove(path), os.Link(filepath.Join(dir, "other"), path)) },
	} {
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "other"), []byte("other"), 0o600), old()); err != nil {
			t.Fatal(err)
		}
		if err := Replace(root, "x", []byte("new")); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode() != mode {
			t.Errorf("%v, %v", info, err)
		}
		if p, err := Read(root, "x", 3); err != nil || string(p) != "new" {
			t.Errorf("%q, %v", p, err)
		}
		if p, err := os.ReadFile(filepath.Join(dir, "other")); err != nil || string(p) != "other" {
			t.Errorf("another name of the old file: %q, %v", p, err)
		}
		if _, err := os.Lstat(path + tempSuffix); !errors.Is(err, fs.ErrNotExist) {
			t.Error("the temporary file is left")
		}
	}
}

func TestAFileThatCannotBeWrittenLeavesTheOldOne(t *testing.T) {
	root, dir := openDir(t)
	path := filepath.Join(dir, "x")
	if err := Replace(root, "x", []byte("old")); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space")
	if err := ReplacePath(path, func(f *os.File) error { _, _ = f.WriteString("half"); return full }); !errors.Is(err, full) {
		t.Error(err)
	}
	names, err := os.ReadDir(dir)
	if p, _ := Read(root, "x", 100); err != nil || len(names) != 1 || string(p) != "old" {
		t.Errorf("%v, %q, %v", names, p, err)
	}
}

// A size is looked at before anything is read.
func TestReadIsBounded(t *testing.T) {
	root, dir := openDir(t)
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "x"), []byte("1234567890"), 0o600), os.WriteFile(filepath.Join(dir,
		"huge"), nil, 0o600),
		os.Truncate(filepath.Join(dir, "huge"), 1<<40)); err != nil {
		t.Fatal(err)
	}
	if p, err := Read(root, "x", 10); err != nil || string(p) != "1234567890" {
		t.Errorf("%q, %v", p, err)
	}
	if p, err := Read(root, "x", 9); err == nil || p != nil || !strings.Contains(err.Error(), "10 bytes, at most 9") {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := Read(root, "huge", 1<<20); err == nil || !strings.Contains(err.Error(), "1099511627776 bytes") {
		t.Error(err)
	}
	if _, err := Read(root, "none", 1); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

func TestAppendedFilesGrow(t *testing.T) {
	root, _ := openDir(t)
	for _, line := range []string{"a", "b"} {
		f, err := OpenOrMake(root, "x", os.O_WRONLY|os.O_APPEND)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(line); err != nil {
			t.Error(err)
		}
		f.Close()
	}
	if p, err := Read(root, "x", 10); err != nil || string(p) != "ab" {
		t.Errorf("%q, %v", p, err)
	}
	f, err := Make(root, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if p, err := Read(root, "x", 10); err != nil || len(p) != 0 {
		t.Errorf("%q, %v", p, err)
	}
}

// Where a person names a file, the directory may be a stranger's, and so may be what lies there.
func TestAFileInAStrangersDirectoryIsNotReplaced(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a stranger's file")
	}
	_, dir := openDir(t)
	path := filepath.Join(dir, "x")
	if err := errors.Join(os.Chown(dir, 4711, 4711), os.WriteFile(path, []byte("precious"), 0o644), os.Chown(path, 4711,
		4711)); err != nil {
		t.Fatal(err)
	}
	err := ReplacePath(path, func(*os.File) error { return nil })
	if p, _ := os.ReadFile(path); !errors.Is(err, ErrInTheWay) || !strings.Contains(err.Error(), "user 4711") ||
		string(p) != "precious" {
		t.Errorf("%v, %q", err, p)
	}
}
