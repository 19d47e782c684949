package serialport

import (
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// polled is a descriptor on the runtime's poller: a file or a socket.
type polled interface {
	Read(p []byte) (int, error)
	SetReadDeadline(t time.Time) error
	SyscallConn() (syscall.RawConn, error)
}

// readUntil reads with a deadline as [Port] promises it: os.ErrDeadlineExceeded only if no byte is waiting.
func readUntil(c polled, b []byte, until time.Time) (int, error) {
	if err := c.SetReadDeadline(until); err != nil {
		return 0, err
	}
	n, err := c.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// the poller looks at the deadline first, so a caller who is late would take waiting bytes for a silence
		return readNow(c, b)
	}
	return n, err
}

// readNow reads what is there.
func readNow(c polled, b []byte) (int, error) {
	var n int
	var err error
	if cerr := control(c, func(fd int) { n, err = unix.Read(fd, b) }); cerr != nil {
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

// control calls do with the descriptor, unless it was closed.
func control(c polled, do func(fd int)) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) { do(int(fd)) })
}
