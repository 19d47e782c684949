package gate

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func listening(t *testing.T, folder string) *Listener {
	t.Helper()
	l, err := Listen(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func modeOf(t *testing.T, path string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// The file is never open to others, whatever the umask: not between its making and a chmod either.
func TestSocketIsForItsGroupFromTheFirstMoment(t *testing.T) {
	for umask, first := range map[int]fs.FileMode{0: 0o660, 0o022: 0o640, 0o077: 0o600} {
		was := syscall.Umask(umask)
		folder := filepath.Join(t.TempDir(), "run")
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(folder, name)
		bound, err := bindTo(path)
		syscall.Umask(was)
		if err != nil {
			t.Fatal(err)
		}
		if is := modeOf(t, path); is != first {
			t.Errorf("umask %#o: made with mode %#o, want %#o", umask, is, first)
		}
		_ = bound.Close()
		syscall.Umask(umask)
		l, err := Listen(folder)
		syscall.Umask(was)
		if err != nil {
			t.Fatal(err)
		}
		if is := modeOf(t, l.Path); is != 0o660 {
			t.Errorf("umask %#o: mode %#o", umask, is)
		}
		if is := modeOf(t, l.Path+".lock"); is&0o077 != 0 {
			t.Errorf("umask %#o: others may hold the lock: %#o", umask, is)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestFolderThatIsMadeLetsTheGroupThrough(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "linkbeat")
	was := syscall.Umask(0o077)
	l, err := Listen(folder)
	syscall.Umask(was)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if is := modeOf(t, folder); is != 0o755 {
		t.Errorf("%#o", is)
	}
}

func TestSocketOfADeadAgentIsReplaced(t *testing.T) {
	folder := t.TempDir()
	dead, err := net.Listen("unix", filepath.Join(folder, name))
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	l := listening(t, folder)
	conn, err := net.Dial("unix", l.Path)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(l.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// Of a living agent, with the lock, and of anybody else who listens there.
func TestSocketOfALivingAgentIsNotReplaced(t *testing.T) {
	locked := t.TempDir()
	first := listening(t, locked)
	plain := t.TempDir()
	other, err := net.Listen("unix", filepath.Join(plain, name))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for _, folder := range []string{locked, plain} {
		if _, err := Listen(folder); !errors.Is(err, ErrInUse) {
			t.Errorf("%v", err)
		}
		conn, err := net.Dial("unix", filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	if !first.Still() {
		t.Error("the first one is gone")
	}
}

// What is not ours is neither followed nor removed.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	for _, at := range []string{name, name + lockSuffix} {
		for what, put := range map[string]func(path, target string) error{
			"a file":             func(path, _ string) error { return os.WriteFile(path, []byte("mine"), 0o600) },
			"a symlink":          func(path, target string) error { return os.Symlink(target, path) },
			"a dangling symlink": func(path, target string) error { return os.Symlink(target+"-gone", path) },
			"a folder":           func(path, _ string) error { return os.Mkdir(path, 0o700) },
			"a FIFO":             func(path, _ string) error { return syscall.Mkfifo(path, 0o600) },
		} {
			if at == name+lockSuffix && what == "a file" {
				continue // that is what it is
			}
			folder, target := t.TempDir(), filepath.Join(t.TempDir(), "target")
			if err := errors.Join(os.WriteFile(target, []byte("theirs"), 0o600),
				put(filepath.Join(folder, at), target)); err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(filepath.Join(folder, at))
			if err != nil {
				t.Fatal(err)
			}
			if l, err := Listen(folder); err == nil || !strings.Contains(err.Error(), "left alone; move it away") {
				t.Errorf("%s as %s: %v, %v", what, at, l, err)
			}
			after, err := os.Lstat(filepath.Join(folder, at))
			if err != nil || !os.SameFile(before, after) || after.Mode() != before.Mode() {
				t.Errorf("%s as %s was touched: %v", what, at, err)
			}
			if p, err := os.ReadFile(target); err != nil || string(p) != "theirs" {
				t.Errorf("%s as %s: the target was touched: %q, %v", what, at, p, err)
			}
			if _, err := os.Lstat(target + "-gone"); err == nil {
				t.Errorf("%s as %s: a target was made", what, at)
			}
		}
	}
}

func TestFolderOfEverybodyIsRefused(t *testing.T) {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(folder); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Errorf("%v", err)
	}
}

func TestCloseLeavesAnotherSocketAlone(t *testing.T) {
	folder := t.TempDir()
	l := listening(t, folder)
	if err := os.Remove(l.Path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", l.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if l.Still() {
		t.Error("another socket counts as ours")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(l.Path); err != nil {
		t.Errorf("it was removed: %v", err)
	}
}

func TestFolders(t *testing.T) {
	for runtime, want := range map[string]string{"": "/run/linkbeat /s", "/run/a": "/run/a /s", "/run/a:/run/b": "/run/a /s",
		"/run/a/": "/run/a /s"} {
		if got := strings.Join(Folders(runtime, "/s/"), " "); got != want {
			t.Errorf("%q: %s", runtime, got)
		}
	}
	if got := strings.Join(Sockets("", "/s"), " "); got != "/run/linkbeat/linkbeat.sock /s/linkbeat.sock" {
		t.Error(got)
	}
	if got := strings.Join(Sockets("/r", "/s"), " "); got != "/r/linkbeat.sock /run/linkbeat/linkbeat.sock /s/linkbeat.sock" {
		t.Error(got)
	}
}

func TestSeats(t *testing.T) {
	for descriptors, want := range map[uint64]int{1 << 40: 64, 1024: 64, 512: 64, 256: 32, 128: 16, 20: 4} {
		if got := seatsOf(descriptors); got != want {
			t.Errorf("of %d descriptors: %d, want %d", descriptors, got, want)
		}
	}
}
