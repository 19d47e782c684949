package transporttest

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Conn is one end of an in-memory connection that behaves like TCP: bytes are buffered (64 KiB each way), a full buffer
// blocks the writer, Close is a FIN, Reset an RST. Safe for concurrent use.
type Conn struct {
	in, out       *stream
	local, remote net.Addr
	readBy        *deadline
	writeBy       *deadline
	closed        chan struct{}
	once          sync.Once
	onReset       func() // tells the other end; nil without a NAT between
}

// Pipe returns both ends of a connection with nothing in between.
func Pipe() (client, server *Conn) {
	up, down := newStream(), newStream()
	c, s := addr("client"), addr("server")
	return newConn(down, up, c, s), newConn(up, down, s, c)
}

func newConn(in, out *stream, local, remote net.Addr) *Conn {
	return &Conn{in: in, out: out, local: local, remote: remote,
		readBy: newDeadline(), writeBy: newDeadline(), closed: make(chan struct{})}
}

// Read implements net.Conn: io.EOF after the other end's FIN, ECONNRESET after an RST, os.ErrDeadlineExceeded, net.ErrClosed.
func (c *Conn) Read(p []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, c.wrap("read", net.ErrClosed)
	}
	n, err := c.in.read(p, c.readBy.done())
	if errors.Is(err, io.EOF) && !isClosed(c.closed) {
		return n, io.EOF
	}
	return n, c.wrap("read", err)
}

// Write implements net.Conn. It blocks while the buffer is full, and returns what went in when that ends badly.
func (c *Conn) Write(p []byte) (int, error) {
	if isClosed(c.closed) {
		return 0, c.wrap("write", net.ErrClosed)
	}
	n, err := c.out.write(p, c.writeBy.done())
	return n, c.wrap("write", err)
}

// wrap makes an error look as the net package's do.
func (c *Conn) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if isClosed(c.closed) {
		err = net.ErrClosed
	} else if errors.Is(err, io.ErrClosedPipe) {
		err = os.NewSyscallError(op, syscall.EPIPE)
	}
	return &net.OpError{Op: op, Net: "tcp", Source: c.local, Addr: c.remote, Err: err}
}

// Close sends a FIN after what is buffered; blocked calls return net.ErrClosed.
func (c *Conn) Close() error { return c.shut(c.finish) }

func (c *Conn) finish() {
	c.in.leave()
	c.out.end()
}

// Reset closes with an RST, as a socket with linger 0 does: the other end's calls fail with ECONNRESET, what is buffered is
// lost.
func (c *Conn) Reset() error {
	return c.shut(func() {
		if c.onReset != nil {
			c.onReset()
		}
		c.break_(errReset())
	})
}

// shut runs how once and wakes what is blocked in c; later calls say net.ErrClosed.
func (c *Conn) shut(how func()) error {
	err := c.wrap("close", net.ErrClosed)
	c.once.Do(func() {
		close(c.closed)
		how()
		c.readBy.set(time.Unix(0, 0))
		c.writeBy.set(time.Unix(0, 0))
		err = nil
	})
	return err
}

// break_ fails both directions as seen from this end.
func (c *Conn) break_(err error) {
	c.in.fail(err)
	c.out.fail(err)
}

func errReset() error { return os.NewSyscallError("read", syscall.ECONNRESET) }

// CloseRead makes later reads return io.EOF; what the other end sends is taken and vanishes (shutdown(SHUT_RD)).
func (c *Conn) CloseRead() error {
	c.in.deafen()
	return nil
}

// CloseWrite sends a FIN; reading goes on.
func (c *Conn) CloseWrite() error {
	c.out.end()
	return nil
}

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.move(c.readBy, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.move(c.writeBy, t) }

func (c *Conn) move(d *deadline, t time.Time) error {
	if isClosed(c.closed) {
		return c.wrap("set", net.ErrClosed)
	}
	d.set(t)
	return nil
}

// addr is an address of the in-memory network.
type addr string

// Network implements net.Addr.
func (addr) Network() string { return "tcp" }

// String implements net.Addr.
func (a addr) String() string { return string(a) }
