package serialport

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
	ioctl   ioctl
	errors  lineWatch
	rs485   []byte // the mode that the line had before, for Close to set again; nil: it was not changed
	closed  atomic.Bool
}

// LineErrors implements [ErrorCounter].
func (p *ttyPort) LineErrors() (LineErrors, bool) { return p.errors.look(p.ask) }

// ask asks the driver, never after Close.
func (p *ttyPort) ask(request uint, arg []byte) error {
	var err error
	if cerr := p.control(func(fd int) { err = p.ioctl(fd, request, arg) }); cerr != nil {
		return cerr
	}
	return err
}

func (p *ttyPort) Read(b []byte, until time.Time) (int, error) {
	n, err := readUntil(p.f, b, until)
	return n, p.portError(err)
}

func (p *ttyPort) Write(b []byte, until time.Time) (int, error) {
	if err := p.f.SetWriteDeadline(until); err != nil {
		return 0, p.portError(err)
	}
	n, err := p.f.Write(b)
	return n, p.portError(err)
}

func (p *ttyPort) Drain(until time.Time) error { return p.portError(p.drainer.wait(until)) }

func (p *ttyPort) Discard() error {
	var err error
	if cerr := p.control(func(fd int) { err = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH) }); cerr != nil {
		return p.portError(cerr)
	}
	return p.portError(err)
}

// Close releases the claim itself, as a drain that hangs may keep a second descriptor open.
func (p *ttyPort) Close() error {
	p.closed.Store(true)
	_ = p.control(func(fd int) {
		_ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCOFLUSH)
		if p.rs485 != nil {
			_ = p.ioctl(fd, unix.TIOCSRS485, p.rs485)
		}
		_ = unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
		_ = unix.Flock(fd, unix.LOCK_UN)
	})
	p.drainer.close()
	return p.f.Close()
}

func (p *ttyPort) control(do func(fd int)) error { return control(p.f, do) }

// portError makes [ErrGone] of a hang-up, which is an end of file or EIO on read, and EIO on write and ioctl.
func (p *ttyPort) portError(err error) error {
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
