package statedir

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/config"
)

func TestTwoAgentsDoNotShareAState(t *testing.T) {
	dir := t.TempDir() + "/state"
	first, err := openState(dir)
	if err != nil || first.Fault != nil {
		t.Fatal(err, first.Fault)
	}
	_, err = openState(dir)
	if err == nil || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) ||
		!strings.Contains(err.Error(), "own state_dir") {
		t.Fatalf("%v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	again, err := openState(dir)
	if err != nil || again.Fault != nil {
		t.Fatal(err, again.Fault)
	}
	if err := again.close(); err != nil {
		t.Fatal(err)
	}
}

// Two agents with a state_dir each and one spool.dir would corrupt each other's segments.
func TestTwoAgentsDoNotShareASpool(t *testing.T) {
	dir := t.TempDir()
	first, err := lockSpool(dir)
	if err != nil || first.Fault != nil {
		t.Fatal(err, first.Fault)
	}
	if state, err := openState(dir); err != nil { // which may be the parent of the spool
		t.Error(err)
	} else if err := state.close(); err != nil {
		t.Error(err)
	}
	_, err = lockSpool(dir)
	if err == nil || !strings.Contains(err.Error(), "pid "+strconv.Itoa(os.Getpid())) ||
		!strings.Contains(err.Error(), "own spool.dir") {
		t.Fatalf("%v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
}

func TestAStateThatCannotBeIsAFaultNotAnEnd(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := openState(file + "/state")
	if err != nil || s.Fault == nil || s.Root != nil {
		t.Fatalf("%v, %+v", err, s)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
}

// A lock that is something else is a fault, and neither truncated nor waited for.
func TestALockThatIsAnothersIsLeftAlone(t *testing.T) {
	for what, put := range map[string]func(path string) error{
		"FIFO":          func(path string) error { return unix.Mkfifo(path, 0o600) },
		"symbolic link": func(path string) error { return os.Symlink("target", path) },
	} {
		dir := t.TempDir()
		if err := errors.Join(os.WriteFile(dir+"/target", []byte("precious"), 0o600), put(dir+"/"+lockFile)); err != nil {
			t.Fatal(err)
		}
		s, err := openState(dir)
		if err != nil || s.Fault == nil || !strings.Contains(s.Fault.Error(), what) || !strings.Contains(s.Fault.Error(),
			"remove it") {
			t.Errorf("%v, %+v", err, s)
		}
		if p, err := os.ReadFile(dir + "/target"); err != nil || string(p) != "precious" {
			t.Errorf("%q, %v", p, err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}

// It is used all the same: a gateway whose agent has another user now goes on.
func TestADirectoryOfOthersIsSaid(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a stranger's directory")
	}
	dir := filepath.Join(t.TempDir(), "state")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(dir+"/spool", 0o700), os.Chown(dir, 4711, 4711),
		os.Chown(dir+"/spool", 4711, 4711)); err != nil {
		t.Fatal(err)
	}
	d := config.Defaults()
	d.StateDir = dir
	p, err := Open(d, Dirs{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(Dirs{})
	want := "state_dir " + dir + ": it belongs to user 4711, not to user 0 or root: chown -hR 0 " + dir
	if p.State.Others != want || p.Spools.Others != "" || p.Fault(Dirs{}) != nil {
		t.Errorf("%q, %q, %v", p.State.Others, p.Spools.Others, p.Fault(Dirs{}))
	}
}

// A directory beside another one whose name begins like it is not within it: what is wrong with it is said too.
func TestADirectoryBesideIsNotWithin(t *testing.T) {
	for path, want := range map[string]bool{"/var/lib/linkbeat": true, "/var/lib/linkbeat/spool": true,
		"/var/lib/linkbeat/": true,
		"/var/lib/linkbeat2": false, "/var/lib/linkbeat-spool": false, "/var/lib": false, "/var/lib/linkbeat/../x": false} {
		if within(path, "/var/lib/linkbeat") != want {
			t.Errorf("%s: not %v", path, want)
		}
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a stranger's directory")
	}
	d := config.Defaults()
	d.StateDir = filepath.Join(t.TempDir(), "state")
	d.Spool.Dir = d.StateDir + "2"
	for _, dir := range []string{d.StateDir, d.Spool.Dir} {
		if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 4711, 4711)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Open(d, Dirs{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(Dirs{})
	if want := "spool.dir " + d.Spool.Dir + ": it belongs to user 4711"; !strings.Contains(p.Spools.Others, want) {
		t.Errorf("%q", p.Spools.Others)
	}
}

// Of whatever is another user's there is one advice, for all of it; what is in the way otherwise has its own.
func TestOneCommandMendsAll(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make another user's files")
	}
	foreign := func(path string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 4711, 4711))
	}
	for name, c := range map[string]struct {
		put   func(state string) error
		spool string // empty: in the state directory
		says  bool
	}{
		"nothing":                   {func(string) error { return nil }, "", false},
		"the lock":                  {func(state string) error { return foreign(state + "/lock") }, "", true},
		"the ledger":                {func(state string) error { return foreign(state + "/ledger.json") }, "", true},
		"the lock, and two of them": {func(state string) error { return foreign(state + "/lock") }, "-spool", true},
		"a file that is not ours":   {func(state string) error { return foreign(state + "/notes.txt") }, "", false},
		"a directory for a lock":    {func(state string) error { return os.Mkdir(state+"/lock", 0o700) }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			d := config.Defaults()
			d.StateDir = filepath.Join(t.TempDir(), "state")
			all := d.StateDir
			if c.spool != "" {
				d.Spool.Dir = d.StateDir + c.spool
				all += " " + d.Spool.Dir
			}
			if err := errors.Join(os.Mkdir(d.StateDir, 0o700), c.put(d.StateDir)); err != nil {
				t.Fatal(err)
			}
			p, err := Open(d, Dirs{})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close(Dirs{})
			why := p.Barred(nil)
			want := "if the agent ran as another user before, chown -hR 0 " + all + ";"
			if strings.Contains(why, want) != c.says || (why == "") == c.says || strings.Contains(why, "remove") {
				t.Errorf("%q", why)
			}
			if err := os.Chown(d.StateDir+"/lock", 0, 0); err != nil {
				t.Fatal(err)
			}
			_ = os.Chown(d.StateDir+"/ledger.json", 0, 0)
			if why := p.Barred(nil); why != "" {
				t.Errorf("after the chown: %q", why)
			}
			again, err := Open(d, p)
			if err != nil || c.says && again.State.Fault != nil {
				t.Errorf("opened again: %v, %v", err, again.State.Fault)
			}
			_ = again.Close(p)
		})
	}
}
