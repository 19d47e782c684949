package agent

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const lockFile = "lock"

// stateDir is the directory that is ours alone.
type stateDir struct {
	root  *os.Root // nil when the directory cannot be used
	lock  *os.File
	fault error // why it cannot be used
}

// openState makes and locks the state directory. It fails only when another agent holds it: two would tear each other's
// spool. A directory that cannot be used is a fault, not an error: the relay goes on in memory.
func openState(dir string) (*stateDir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &stateDir{fault: fmt.Errorf("state_dir: %w", err)}, nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return &stateDir{fault: fmt.Errorf("state_dir: %w", err)}, nil
	}
	s := &stateDir{root: root}
	f, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		s.fault = fmt.Errorf("state_dir %s: %w", dir, err)
		return s, nil
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		f.Close()
		root.Close()
		return nil, fmt.Errorf("state_dir %s is in use by another linkbeat (pid %s): stop that one, or give this one its own state_dir",
			dir, strings.TrimSpace(string(holder)))
	} else if err != nil {
		s.fault = fmt.Errorf("state_dir %s: lock: %w", dir, err)
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
