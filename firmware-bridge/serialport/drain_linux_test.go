package serialport

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// hung is a drainer whose calls end when the test says so.
func hung(t *testing.T) (d *drainer, calls chan chan error, open func() bool) {
	t.Helper()
	fd, err := unix.Open(t.TempDir(), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	var before unix.Stat_t
	if err := unix.Fstat(fd, &before); err != nil {
		t.Fatal(err)
	}
	calls = make(chan chan error, 8)
	d = newDrainer(fd, func(int) error {
		end := make(chan error)
		calls <- end
		return <-end
	})
	open = func() bool { // the very same file, not one that got its number
		var now unix.Stat_t
		return unix.Fstat(fd, &now) == nil && now.Ino == before.Ino && now.Dev == before.Dev
	}
	return d, calls, open
}

func TestADrainThatHangsIsGivenUpAndNotStartedTwice(t *testing.T) {
	d, calls, open := hung(t)
	if err := d.wait(time.Now().Add(time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("hanging: %v", err)
	}
	first := porttest.Recv(t, calls, "the first call")
	if err := d.wait(time.Now().Add(time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("still hanging: %v", err)
	}
	if len(calls) > 0 {
		t.Error("a second thread waits beside the first")
	}
	done := make(chan error, 1)
	go func() { done <- d.wait(porttest.Later()) }()
	first <- nil
	// the first call began before the bytes of the second were written: it must not answer for them
	second := porttest.Recv(t, calls, "a call of its own")
	select {
	case err := <-done:
		t.Fatalf("answered %v by an older call", err)
	default:
	}
	fault := errors.New("from the second call")
	second <- fault
	if err := porttest.Recv(t, done, "the answer"); !errors.Is(err, fault) {
		t.Errorf("answer %v", err)
	}
	d.close()
	if open() {
		t.Error("the descriptor is open after close")
	}
}

func TestTheLastUserOfADrainClosesTheDescriptor(t *testing.T) {
	d, calls, open := hung(t)
	if err := d.wait(time.Now().Add(time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("hanging: %v", err)
	}
	call := porttest.Recv(t, calls, "the call")
	waiting := make(chan error, 1)
	go func() { waiting <- d.wait(porttest.Later()) }()
	d.close()
	if err := porttest.Recv(t, waiting, "a released wait"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("released with %v", err)
	}
	d.close()
	if !open() {
		t.Error("the descriptor was closed under a running call")
	}
	if err := d.wait(porttest.Later()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
	call <- nil
	porttest.Eventually(t, "the descriptor to close", func() bool { return !open() })
}
