package discover

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// fromKernel is the multicast group of the kernel's own messages; udev sends its own to group 2.
const fromKernel = 1

// ueventSocket is a socket of NETLINK_KOBJECT_UEVENT on the runtime's poller.
type ueventSocket struct {
	f   *os.File
	buf []byte
}

func listenUevents() (Uevents, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: fromKernel}); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	// UEVENT_BUFFER_SIZE of linux/kobject.h is 2048; with the header it is a little more
	return &ueventSocket{os.NewFile(uintptr(fd), "uevents"), make([]byte, 8<<10)}, nil
}

// Next waits for a message. Its sender is not checked: the message is only a reason to look.
func (s *ueventSocket) Next() (Uevent, error) {
	n, err := s.f.Read(s.buf)
	if errors.Is(err, unix.ENOBUFS) {
		return Uevent{}, nil
	}
	if err != nil {
		return Uevent{}, err
	}
	return parseUevent(s.buf[:n]), nil
}

func (s *ueventSocket) Close() error { return s.f.Close() }
