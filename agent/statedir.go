package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/config"
)

// The locks have names of their own, as spool.dir may be the state_dir of nobody or of another agent.
const (
	lockFile      = "lock"
	spoolLockFile = "spool.lock"
)

// stateDir is a directory that is ours alone.
type stateDir struct {
	dir   string
	root  *os.Root // nil when the directory cannot be used
	lock  *os.File
	fault error // why it cannot be used
}

// openState makes and locks the state directory. It fails only when another agent holds it: two would tear each other's
// spool. A directory that cannot be used is a fault, not an error: the relay goes on in memory.
func openState(dir string) (*stateDir, error) { return openOwn("state_dir", dir, lockFile) }

// lockSpool is openState for spool.dir, which agents with different state directories may share by mistake.
func lockSpool(dir string) (*stateDir, error) { return openOwn("spool.dir", dir, spoolLockFile) }

// openOwn makes dir, which is the value of key, and locks the named file in it.
func openOwn(key, dir, lock string) (*stateDir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &stateDir{dir: dir, fault: fmt.Errorf("%s: %w", key, err)}, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return &stateDir{dir: dir, fault: fmt.Errorf("%s: %w", key, err)}, nil
	}
	s := &stateDir{dir: dir, root: root}
	f, err := root.OpenFile(lock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		s.fault = fmt.Errorf("%s %s: %w", key, dir, err)
		return s, nil
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		f.Close()
		root.Close()
		return nil, fmt.Errorf("%s %s is in use by another linkbeat (pid %s): stop that one, or give this one its own %s",
			key, dir, strings.TrimSpace(string(holder)), key)
	} else if err != nil {
		s.fault = fmt.Errorf("%s %s: lock: %w", key, dir, err)
		f.Close()
		return s, nil
	}
	s.lock = f
	if err := f.Truncate(0); err == nil { // the pid is only for the message above
		_, _ = f.WriteString(strconv.Itoa(os.Getpid()) + "\n")
	}
	return s, nil
}

func (s *stateDir) close() error {
	var errs []error
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	if s.root != nil {
		errs = append(errs, s.root.Close())
	}
	return errors.Join(errs...)
}

// places are the directories of a site.
type places struct{ state, spools *stateDir }

func (p places) all() []*stateDir { return []*stateDir{p.state, p.spools} }

// openPlaces opens the places that a document names, and takes over those of have that are the same: a lock that is ours
// already cannot be had again. After an error have is as it was.
func openPlaces(d *config.Document, have places) (p places, err error) {
	if p.state, err = openOr(have.state, "state_dir", d.StateDir, lockFile); err != nil {
		return places{}, err
	}
	if p.spools, err = openOr(have.spools, "spool.dir", d.SpoolDir(), spoolLockFile); err != nil {
		return places{}, errors.Join(err, p.close(have))
	}
	return p, nil
}

func openOr(have *stateDir, key, dir, lock string) (*stateDir, error) {
	if have != nil && filepath.Clean(have.dir) == filepath.Clean(dir) {
		return have, nil
	}
	return openOwn(key, dir, lock)
}

// close closes the places that are not among keep.
func (p places) close(keep places) error {
	var errs []error
	for _, s := range p.all() {
		if s != nil && !slices.Contains(keep.all(), s) {
			errs = append(errs, s.close())
		}
	}
	return errors.Join(errs...)
}

// fault is why a place that was not among known cannot be used.
func (p places) fault(known places) error {
	for _, s := range p.all() {
		if s.fault != nil && !slices.Contains(known.all(), s) {
			return s.fault
		}
	}
	return nil
}
