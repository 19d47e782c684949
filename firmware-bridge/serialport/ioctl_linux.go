package serialport

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// ioctl asks the driver behind fd, with the bytes that the kernel reads and writes. It is a seam: what needs hardware is tested
// against recorded calls.
type ioctl func(fd int, request uint, arg []byte) error

// kernelIoctl is ioctl(2). None of our requests waits.
func kernelIoctl(fd int, request uint, arg []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(unsafe.SliceData(arg))))
	if errno != 0 {
		return errno
	}
	return nil
}
