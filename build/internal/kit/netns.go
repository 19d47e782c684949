package kit

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// DialFunc is the shape of net.Dialer.DialContext.
type DialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// Dialer dials from inside the named network namespace; from our own when the name is empty.
func Dialer(netns string) DialFunc {
	d := &net.Dialer{Timeout: 5 * time.Second}
	if netns == "" {
		return d.DialContext
	}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		var conn net.Conn
		err := InNetns(netns, func() (err error) {
			conn, err = d.DialContext(ctx, network, addr)
			return err
		})
		return conn, err
	}
}

// InNetns calls f on a thread that sits in the named namespace. A socket stays in the namespace it was made in, so f
// may only make sockets, on its own goroutine (an IP address literal, never a name).
func InNetns(name string, f func() error) error {
	target, err := os.Open("/var/run/netns/" + name)
	if err != nil {
		return fmt.Errorf("namespace %s: %w", name, err)
	}
	defer target.Close()
	errs := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread is in a foreign namespace and must end with this goroutine
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			errs <- fmt.Errorf("enter namespace %s: %w", name, err)
			return
		}
		errs <- f()
	}()
	return <-errs
}
