package bridge

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// ttyPort is a [Port] over the runtime poller, so that every call has a deadline and Close releases all of them.
type ttyPort struct {
	path    string
	f       *os.File
	drainer *drainer
	closed  atomic.Bool
}

func (p *ttyPort) Read(b []byte, until time.Time) (int, error) {
	if err := p.f.SetReadDeadline(until); err != nil {
		return 0, p.fault(err)
	}
	n, err := p.f.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// the poller looks at the deadline first: a caller who is late would take waiting bytes for a silence
		n, err = p.readNow(b)
	}
	return n, p.fault(err)
}

// readNow reads what is there.
func (p *ttyPort) readNow(b []byte) (int, error) {
	var n int
	var err error
	if cerr := p.control(func(fd int) { n, err = unix.Read(fd, b) }); cerr != nil {
		return 0, cerr
	}
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		return 0, os.ErrDeadlineExceeded
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (p *ttyPort) Write(b []byte, until time.Time) (int, error) {
	if err := p.f.SetWriteDeadline(until); err != nil {
		return 0, p.fault(err)
	}
	n, err := p.f.Write(b)
	return n, p.fault(err)
}

func (p *ttyPort) Drain(until time.Time) error { return p.fault(p.drainer.wait(until)) }

func (p *ttyPort) Discard() error {
	var err error
	if cerr := p.control(func(fd int) { err = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) }); cerr != nil {
		return p.fault(cerr)
	}
	return p.fault(err)
}

// Close gives the claim back by itself, because a drain that hangs may keep a second descriptor open.
func (p *ttyPort) Close() error {
	p.closed.Store(true)
	_ = p.control(func(fd int) {
		_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH)
		_ = unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
		_ = unix.Flock(fd, unix.LOCK_UN)
	})
	p.drainer.close()
	return p.f.Close()
}

func (p *ttyPort) control(do func(fd int)) error {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { do(int(fd)) })
}

// fault gives a hang-up one name: it is an end of file or EIO on read, EIO on write and ioctl.
func (p *ttyPort) fault(err error) error {
	switch {
	case err == nil:
		return nil
	case p.closed.Load():
		return os.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, unix.EIO), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%s: %w", p.path, ErrGone)
	}
	return err
}
