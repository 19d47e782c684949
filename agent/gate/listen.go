package gate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
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
// a dead agent's. It is closed once, by Close; Listener alone is for who serves.
type Listener struct {
	Listener net.Listener
	Path     string // of the socket

	lock *os.File
	made os.FileInfo // of the socket
}

// Listen makes the socket in folder, which is made too if only that is missing. The socket of a dead agent is replaced; what is
// anything else than a socket, and a socket at which somebody listens, is left alone and an error.
func Listen(folder string) (*Listener, error) {
	if err := os.Mkdir(folder, folderMode); err == nil {
		_ = os.Chmod(folder, folderMode) // the umask may have shut it; if so it stays shut, which is safe
	}
	l := &Listener{Path: filepath.Join(folder, name)}
	info, err := os.Stat(folder)
	switch {
	case err != nil:
		return nil, err
	case info.Mode().Perm()&0o002 != 0:
		return nil, fmt.Errorf("%s may be written to by everybody, who could put another socket there: chmod o-w it", folder)
	case len(l.Path) > longest:
		return nil, fmt.Errorf("%s has %d bytes, and the path of a socket at most %d: give the agent a shorter state_dir", l.Path,
			len(l.Path), longest)
	}
	if err = l.hold(); err == nil {
		if err = l.clear(); err == nil {
			err = l.bind()
		}
	}
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// kind is an error where a file is of another type than ours; what is not there is none.
func (l *Listener) kind(path string, want fs.FileMode) (there bool, err error) {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err == nil && info.Mode().Type() != want:
		err = fmt.Errorf("%s is not linkbeat's: it is left alone; move it away", path)
	}
	return true, err
}

// hold takes the lock. The file stays when the agent ends: a lock that is removed can be held twice. Nobody but us and root can
// put anything at a path of this folder between a look and what follows.
func (l *Listener) hold() error {
	path := l.Path + lockSuffix
	if _, err := l.kind(path, 0); err != nil {
		return err
	}
	lock, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	l.lock = lock
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s: %w (%w)", l.Path, ErrInUse, err)
	}
	return nil
}

// clear removes the socket of a dead agent.
func (l *Listener) clear() error {
	if there, err := l.kind(l.Path, fs.ModeSocket); !there || err != nil {
		return err
	}
	conn, err := net.DialTimeout("unix", l.Path, probeTime)
	switch {
	case err == nil:
		_ = conn.Close()
		return fmt.Errorf("%s: %w", l.Path, ErrInUse)
	case !errors.Is(err, syscall.ECONNREFUSED): // full, or not ours to ask: somebody may be there
		return err
	}
	return os.Remove(l.Path)
}

// bindTo makes a socket. Linux takes the mode of the file from the descriptor's, less the umask: there is no moment in which the
// file is open to others, and the umask of the process, which all its threads share, stays as it is.
func bindTo(path string) (net.Listener, error) {
	shut := func(_, _ string, c syscall.RawConn) (err error) {
		if failed := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), mode) }); failed != nil {
			return failed
		}
		return err
	}
	return (&net.ListenConfig{Control: shut}).Listen(context.Background(), "unix", path)
}

func (l *Listener) bind() (err error) {
	if l.Listener, err = bindTo(l.Path); err != nil {
		return err
	}
	l.Listener.(*net.UnixListener).SetUnlinkOnClose(false) // by then the path may be another's
	if err = os.Chmod(l.Path, mode); err == nil {          // the umask may have shut out the group
		l.made, err = os.Lstat(l.Path)
	}
	return err
}

// Still reports whether the socket is where it was made: somebody may have cleaned up.
func (l *Listener) Still() bool {
	info, err := os.Lstat(l.Path)
	return err == nil && os.SameFile(info, l.made) && info.ModTime().Equal(l.made.ModTime()) // numbers of files are used again
}

// Close ends the listening and removes the socket, if it is ours still. Connections go on.
func (l *Listener) Close() error {
	var err error
	if l.Still() {
		err = os.Remove(l.Path)
	}
	return errors.Join(err, l.release())
}

// release lets go of what is held. Who serves closes the listener too, so that a second time says nothing.
func (l *Listener) release() error {
	var err error
	if l.Listener != nil {
		if err = l.Listener.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	if l.lock != nil {
		_ = l.lock.Close()
	}
	return err
}
