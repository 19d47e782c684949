package serialport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Our own choices: a serial server that is gone is noticed within half a minute, idle or not.
const (
	dialTimeout   = 10 * time.Second
	peerTimeout   = 30 * time.Second // TCP_USER_TIMEOUT: for bytes that are not acknowledged, and for keepalives
	peerIdle      = 15 * time.Second // before the first keepalive
	peerInterval  = 5 * time.Second
	peerProbes    = 3
	unackedAgain  = time.Millisecond // between two looks at the send queue, doubled up to
	unackedSlowly = 20 * time.Millisecond
)

// dial opens a port behind a serial server.
func dial(ctx context.Context, port string, line Line) (Port, error) {
	scheme, address, _ := strings.Cut(port, "://")
	d := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: peerIdle,
		Interval: peerInterval, Count: peerProbes}}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", port, err)
	}
	p := &netPort{path: port, conn: conn.(*net.TCPConn)} // a dialled tcp is one
	var failed error
	err = control(p.conn, func(fd int) {
		failed = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(peerTimeout.Milliseconds()))
	})
	if err = errors.Join(err, failed); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: TCP_USER_TIMEOUT: %w", port, err)
	}
	if scheme+"://" == schemeTCP {
		return p, nil
	}
	t, err := negotiate(ctx, p, line)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("%s: %w", port, err)
	}
	return t, nil
}

// netPort is a [Port] behind a serial server that passes the bytes as they are.
type netPort struct {
	path   string
	conn   *net.TCPConn
	closed atomic.Bool
	broken atomic.Bool  // by the other end: its send queue does not change any more
	errno  atomic.Int32 // what broke it, kept as the kernel returns SO_ERROR only once
}

// Read implements [Port].
func (p *netPort) Read(b []byte, until time.Time) (int, error) {
	n, err := readUntil(p.conn, b, until)
	return n, p.portError(err)
}

// Write implements [Port].
func (p *netPort) Write(b []byte, until time.Time) (int, error) {
	if err := p.conn.SetWriteDeadline(until); err != nil {
		return 0, p.portError(err)
	}
	n, err := p.conn.Write(b)
	return n, p.portError(err)
}

// Drain implements [Port]: it waits until the serial server has acknowledged all.
func (p *netPort) Drain(until time.Time) error {
	for wait := unackedAgain; ; wait = min(2*wait, unackedSlowly) {
		n, err := p.unacked()
		switch {
		case err != nil:
			return p.portError(err)
		case p.broken.Load():
			return p.portError(unix.ECONNRESET)
		case n == 0:
			return nil
		case time.Until(until) <= 0:
			return os.ErrDeadlineExceeded
		}
		time.Sleep(min(wait, time.Until(until)))
	}
}

// unacked counts the bytes in the send queue. For a broken connection it returns the reason instead.
func (p *netPort) unacked() (n int, err error) {
	var failed error
	cerr := control(p.conn, func(fd int) {
		var soErr int
		if soErr, failed = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); failed == nil && soErr != 0 {
			p.errno.Store(int32(soErr))
			failed = unix.Errno(soErr)
		} else if failed == nil {
			n, failed = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		}
	})
	return n, errors.Join(cerr, failed)
}

// Discard implements [Port]. What is in the send queue cannot be taken back, so the connection is aborted: nothing of a write
// that was reported as failed may go out later.
func (p *netPort) Discard() error {
	if n, err := p.unacked(); err == nil && n == 0 {
		return nil
	}
	return p.Abort()
}

// Abort implements [Aborter]: it ends the connection with a reset, which drops the send queue.
func (p *netPort) Abort() error {
	_ = p.conn.SetLinger(0)
	return p.conn.Close()
}

// Close implements [Port].
func (p *netPort) Close() error {
	p.closed.Store(true)
	if n, err := p.unacked(); err == nil && n == 0 {
		return p.conn.Close()
	}
	return p.Abort()
}

// portError makes [ErrGone] of every way in which a connection ends, with the reason.
func (p *netPort) portError(err error) error {
	switch {
	case err == nil:
		return nil
	case p.closed.Load():
		return os.ErrClosed
	case errors.Is(err, os.ErrDeadlineExceeded):
		return err
	}
	p.broken.Store(true)
	if errno := p.errno.Load(); errno != 0 {
		err = unix.Errno(errno)
	}
	switch {
	case errors.Is(err, unix.ETIMEDOUT):
		err = errors.New("the serial server does not answer")
	case errors.Is(err, net.ErrClosed):
		err = ErrAborted
	case errors.Is(err, io.EOF):
		err = errors.New("the serial server has closed the connection")
	}
	return fmt.Errorf("%s: %w: %w", p.path, ErrGone, err)
}
