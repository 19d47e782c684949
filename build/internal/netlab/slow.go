package netlab

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// end of a cable: a device in a namespace.
type end struct{ netns, name string }

const (
	longestPacket = 65535
	inTransit     = 1024 // packets under way each way; more are lost, as in any queue
)

// slowCable joins two namespaces by TUN devices and carries each packet across after the delay. The Env removes it.
func slowCable(e *kit.Env, a, b end, delay time.Duration) error {
	fa, err := openTUN(a)
	if err != nil {
		return err
	}
	e.Defer(func() { _ = fa.Close() })
	fb, err := openTUN(b)
	if err != nil {
		return err
	}
	e.Defer(func() { _ = fb.Close() })
	carry(fa, fb, delay)
	carry(fb, fa, delay)
	return nil
}

// openTUN makes a device for IP packets; it goes when the file is closed.
func openTUN(at end) (f *os.File, err error) {
	err = kit.InNetns(at.netns, func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open /dev/net/tun: %w", err)
		}
		var request struct {
			name  [unix.IFNAMSIZ]byte
			flags uint16
			_     [22]byte // struct ifreq is 40 bytes
		}
		copy(request.name[:], at.name)
		request.flags = unix.IFF_TUN | unix.IFF_NO_PI
		if _, _, no := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.TUNSETIFF, uintptr(unsafe.Pointer(&request))); no != 0 {
			_ = unix.Close(fd)
			return fmt.Errorf("tun %s: %w", at.name, no)
		}
		f = os.NewFile(uintptr(fd), at.name)
		return nil
	})
	return f, err
}

type packet struct {
	due  time.Time
	data []byte
}

// carry brings packets from one end to the other until either is closed.
func carry(from, to *os.File, delay time.Duration) {
	queue := make(chan packet, inTransit)
	go func() {
		defer close(queue)
		buf := make([]byte, longestPacket)
		for {
			n, err := from.Read(buf)
			if errors.Is(err, os.ErrClosed) {
				return
			}
			if err != nil { // the other end is not up yet
				time.Sleep(delay)
				continue
			}
			select {
			case queue <- packet{time.Now().Add(delay), append([]byte(nil), buf[:n]...)}:
			default:
			}
		}
	}()
	go func() {
		for p := range queue {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.data) // an end that is down loses it
		}
	}()
}
