// Package statedir opens the directories that are the agent's alone, and locks them against a second agent. It reads and
// writes the files there that hold JSON, for whoever knows what is in them.
package statedir

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/agent/ownfile"
	"github.com/linkbeat/linkbeat/config"
)

// The locks have names of their own, as spool.dir may be the state_dir of another agent.
const (
	lockFile      = "lock"
	spoolLockFile = "spool.lock"
)

// Dir is a directory that is ours alone.
type Dir struct {
	path     string
	lockName string
	Root     *os.Root // nil when the directory cannot be used
	lock     *os.File
	Fault    error // why it cannot be used

	// who else can change what is in it: it is used all the same; empty: nobody
	Others  string
	Lasting bool // nothing mends that: the disk keeps no owners, or no modes
}

// openState makes and locks the state directory. It fails only when another agent holds it: two would tear each other's
// spool. A directory that cannot be used is a fault, not an error: the relay goes on in memory.
func openState(dir string) (*Dir, error) { return openOwn("state_dir", dir, lockFile) }

// lockSpool is openState for spool.dir, which agents with different state directories may share by mistake.
func lockSpool(dir string) (*Dir, error) { return openOwn("spool.dir", dir, spoolLockFile) }

// openOwn makes dir, which is the value of key, and locks the named file in it.
func openOwn(key, dir, lock string) (*Dir, error) {
	s := &Dir{path: dir, lockName: lock}
	err := ownfile.MakeFolder(dir)
	if s.Others, s.Lasting = ownfile.Others(dir); s.Others != "" {
		s.Others = key + " " + dir + ": " + s.Others
	}
	if err != nil {
		return s.unusable(key, err), nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return s.unusable(key, err), nil
	}
	s.Root = root
	f, err := ownfile.OpenOrMake(root, lock, os.O_RDWR)
	if err != nil {
		return s.unusable(key, err), nil
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		f.Close()
		root.Close()
		return nil, fmt.Errorf("%s %s is in use by another linkbeat (pid %s): stop that one, or give this one its own %s",
			key, dir, strings.TrimSpace(string(holder)), key)
	} else if err != nil {
		s.Fault = fmt.Errorf("%s %s: lock: %w", key, dir, err)
		f.Close()
		return s, nil
	}
	s.lock = f
	if err := f.Truncate(0); err == nil { // the pid is only for the message above
		_, _ = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	return s, nil
}

func (s *Dir) unusable(key string, err error) *Dir {
	s.Fault = fmt.Errorf("%s %s: %w", key, s.path, err)
	return s
}

// files are those that this version reads or appends to.
func files() []string {
	return []string{"commands.journal", "commands.seen", "ledger.json", "paths.json", "quarantine.ndjson"}
}

// barred is what in it we may not use, as after a change of the agent's user; nil: nothing.
func (s *Dir) barred() error {
	if s.Fault != nil {
		return s.still()
	}
	if err := unix.Faccessat(unix.AT_FDCWD, s.path, unix.W_OK|unix.X_OK, unix.AT_EACCESS); errors.Is(err, fs.ErrPermission) {
		return &fs.PathError{Op: "write to", Path: s.path, Err: err}
	}
	for _, name := range files() {
		f, err := ownfile.Open(s.Root, name, os.O_RDONLY)
		if err == nil {
			_ = f.Close()
			err = ownfile.Free(s.Root, name)
		}
		if anothers(err) {
			return fmt.Errorf("%s: %w", s.path, err)
		}
	}
	return nil
}

// still is the fault of rights that keeps the directory from being opened, if there is one now.
func (s *Dir) still() error {
	if !anothers(s.Fault) {
		return nil
	}
	if err := ownfile.MakeFolder(s.path); anothers(err) {
		return s.Fault
	}
	root, err := os.OpenRoot(s.path)
	if err != nil {
		return s.Fault
	}
	defer root.Close()
	f, err := ownfile.Open(root, s.lockName, os.O_RDWR)
	if err == nil {
		_ = f.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s.Fault
	}
	return nil
}

// anothers tells whether an error may be one of the agent's user being another one than before.
func anothers(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, ownfile.ErrAnothers)
}

// Barred is what in the directories we may not use, and the one command that gives all of them to us; empty: nothing. more is of
// what else we may not use there; nil: none is.
func (p Dirs) Barred(more error) string {
	err := more
	for _, s := range p.All() {
		err = cmp.Or(s.barred(), err)
	}
	if err == nil {
		return ""
	}
	all := p.State.path
	if !within(p.Spools.path, all) {
		all += " " + p.Spools.path
	}
	what, _, _ := strings.Cut(err.Error(), ", and it was left alone") // with an advice of its own
	return fmt.Sprintf("%s: if the agent ran as another user before, %s; "+
		"until then what is there is left alone, frames may wait in "+
		"memory, and commands be refused; it is taken up without a restart", what, ownfile.Chown(all))
}

// OfRights tells whether a sentence is of what Barred says.
func OfRights(why string) bool {
	return strings.Contains(why, syscall.EACCES.Error()) || strings.Contains(why, ownfile.ErrAnothers.Error())
}

// within tells whether a path is another one, or below it.
func within(path, of string) bool {
	rel, err := filepath.Rel(of, path)
	return err == nil && filepath.IsLocal(rel)
}

func (s *Dir) close() error {
	var errs []error
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if s.Root != nil {
		errs = append(errs, s.Root.Close())
	}
	return errors.Join(errs...)
}

// Dirs are the directories of an agent. The zero value has none.
type Dirs struct{ State, Spools *Dir }

// All are both, the state directory first.
func (p Dirs) All() []*Dir { return []*Dir{p.State, p.Spools} }

// Open opens the directories that a document names, and takes over those of have that are the same: a lock that is ours
// already cannot be had again. After an error have is as it was.
func Open(d *config.Document, have Dirs) (p Dirs, err error) {
	if p.State, err = openOr(have.State, "state_dir", d.StateDir, lockFile); err != nil {
		return Dirs{}, err
	}
	if p.Spools, err = openOr(have.Spools, "spool.dir", d.SpoolDir(), spoolLockFile); err != nil {
		return Dirs{}, errors.Join(err, p.Close(have))
	}
	if p.State.Others != "" && within(p.Spools.path, p.State.path) {
		p.Spools.Others = "" // for the same reason
	}
	return p, nil
}

// openOr is have where it is the same directory; one that cannot be used is tried again.
func openOr(have *Dir, key, dir, lock string) (*Dir, error) {
	if have == nil || filepath.Clean(have.path) != filepath.Clean(dir) {
		return openOwn(key, dir, lock)
	}
	if have.Fault == nil {
		return have, nil
	}
	again, err := openOwn(key, dir, lock)
	if err == nil && again.Fault != nil {
		return have, again.close()
	}
	return again, err
}

// Close closes the directories that are not among keep.
func (p Dirs) Close(keep Dirs) error {
	var errs []error
	for _, s := range p.All() {
		if s != nil && !slices.Contains(keep.All(), s) {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

// Fault is why a directory that was not among known cannot be used.
func (p Dirs) Fault(known Dirs) error {
	for _, s := range p.All() {
		if s.Fault != nil && !slices.Contains(known.All(), s) {
			return s.Fault
		}
	}
	return nil
}
