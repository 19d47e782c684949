package gate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	mode       = 0o660       // of the socket: its owner and the group
	folderMode = 0o755       // of a folder that we make: the group must get through to the socket
	probeTime  = time.Second // for who may listen at a socket that is there; a local connect does not wait
)

// ErrInUse is wrapped by what [Listen] says of a folder in which another agent has its socket.
var ErrInUse = errors.New("another linkbeat has its socket there")

// Listener is the socket of an agent. The lock beside it is held as long as the agent lives, so that a socket without a holder is
// a dead agent's. Close may be called more than once.
type Listener struct {
	net.Listener        // of a unix socket
	Path         string // of the socket

	root  *os.Root
	lock  *os.File
	made  os.FileInfo // of the socket
	close func() error
}

// Listen makes the socket in folder, which is made too if only that is missing. The socket of a dead agent is replaced; what is
// anything else than a socket, and a socket at which somebody listens, is left alone and an error.
func Listen(folder string) (*Listener, error) {
	if err := os.Mkdir(folder, folderMode); err == nil {
		if err := os.Chmod(folder, folderMode); err != nil { // the umask may have shut it
			return nil, err
		}
	} else if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	l := &Listener{Path: filepath.Join(folder, name), root: root}
	l.close = sync.OnceValue(l.shut)
	if err := l.open(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

func (l *Listener) open() error {
	info, err := l.root.Stat(".")
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("%s may be written to by everybody, who could put another socket there: chmod o-w it",
			filepath.Dir(l.Path))
	}
	if err := l.hold(); err != nil {
		return err
	}
	if err := l.clear(); err != nil {
		return err
	}
	if err := near(l.Path, l.bind); err != nil {
		return err
	}
	return l.admit()
}

// hold takes the lock. The file stays when the agent ends: a lock that is removed can be held twice.
func (l *Listener) hold() error {
	if info, err := l.root.Lstat(lockName); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s.lock is not a file of linkbeat's: it is left alone; move it away", l.Path)
	}
	lock, err := l.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	l.lock = lock
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s: %w", l.Path, ErrInUse)
	} else if err != nil {
		return fmt.Errorf("lock of %s: %w", l.Path, err)
	}
	return nil
}

// clear removes the socket of a dead agent.
func (l *Listener) clear() error {
	info, err := l.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is not a socket: it is left alone; move it away", l.Path)
	}
	err = near(l.Path, func(path string) error {
		conn, err := net.DialTimeout("unix", path, probeTime)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	if err == nil {
		return fmt.Errorf("%s: %w", l.Path, ErrInUse)
	}
	if !refused(err) { // full, or not ours to ask: somebody may be there
		return err
	}
	return l.root.Remove(name)
}

// bind makes the socket. Linux takes the mode of the file from the descriptor's, less the umask: there is no moment in which the
// file is open to others, and the umask of the process, which all its threads share, stays as it is.
func (l *Listener) bind(path string) error {
	shut := func(_, _ string, c syscall.RawConn) (err error) {
		if failed := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), mode) }); failed != nil {
			return failed
		}
		return err
	}
	listener, err := (&net.ListenConfig{Control: shut}).Listen(context.Background(), "unix", path)
	if err != nil {
		return err
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false) // by then the path may be another's
	l.Listener = listener
	return nil
}

// admit opens the socket to the group where the umask has not, and makes sure that it is open to nobody else.
func (l *Listener) admit() (err error) {
	if l.made, err = l.root.Lstat(name); err != nil {
		return err
	}
	if l.made.Mode().Perm()&^mode != 0 {
		return errors.Join(
			fmt.Errorf("%s has mode %#o, and %#o cannot be had on this file system", l.Path, l.made.Mode().Perm(), mode),
			l.root.Remove(name))
	}
	if l.made.Mode().Perm() == mode {
		return nil
	}
	return l.root.Chmod(name, mode)
}

// Still reports whether the socket is where it was made: somebody may have cleaned up.
func (l *Listener) Still() bool {
	info, err := os.Lstat(l.Path)
	return err == nil && os.SameFile(info, l.made)
}

// Close ends the listening and removes the socket, if it is ours still. Connections go on.
func (l *Listener) Close() error { return l.close() }

func (l *Listener) shut() error {
	var err error
	if l.Still() {
		err = l.root.Remove(name)
	}
	return errors.Join(err, l.release())
}

func (l *Listener) release() error {
	var errs []error
	if l.Listener != nil {
		errs = append(errs, l.Listener.Close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(append(errs, l.root.Close())...)
}
