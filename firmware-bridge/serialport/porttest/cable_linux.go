package porttest

import (
	"os"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// Cable is a pseudo-terminal: the test is the device at its Far end, Path is the port.
type Cable struct {
	Far  *os.File
	Path string
}

// NewCable makes a cable that is not open yet; its far end is closed after the test.
func NewCable(t testing.TB) *Cable {
	t.Helper()
	far, near, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	path := near.Name()
	if err := near.Close(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return &Cable{Far: far, Path: path}
}

// Queued is how many bytes wait at the far end.
func (c *Cable) Queued(t testing.TB) (n int) {
	t.Helper()
	raw, err := c.Far.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }); err != nil {
		t.Fatal(err)
	}
	return n
}
