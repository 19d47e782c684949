package netdial

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	tcpRTOMaxMS    = 44                // TCP_RTO_MAX_MS, Linux 6.15; not in x/sys yet
	tcpEstablished = 1                 // TCP_ESTABLISHED, include/net/tcp_states.h
	rtoMaxHigh     = 120 * time.Second // the most that the kernel takes
)

// RTOMax is the longest pause between two retransmissions: short against detect_within, so that the same connection goes
// on soon after an outage.
func RTOMax(detectWithin time.Duration) time.Duration {
	return min(max(time.Second, detectWithin/6), rtoMaxHigh)
}

// socketOptions sets, before connect: no TCP keepalive; TCP_USER_TIMEOUT (RFC 5482), after which the kernel gives up
// unacknowledged data, which SO_KEEPALIVE never does; and the bound of the retransmission timer, which doubles otherwise.
// rtoMax tells whether the kernel knows the last one. With iface, packets leave by that interface only.
func socketOptions(detectWithin time.Duration, rtoMax *atomic.Bool,
	iface string) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		ctlErr := c.Control(func(fd uintptr) {
			if err = setSocketOptions(int(fd), detectWithin, rtoMax); err == nil && iface != "" {
				err = os.NewSyscallError("SO_BINDTODEVICE", unix.BindToDevice(int(fd), iface))
			}
		})
		return errors.Join(ctlErr, err)
	}
}

func setSocketOptions(fd int, detectWithin time.Duration, rtoMax *atomic.Bool) error {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 0); err != nil {
		return fmt.Errorf("set SO_KEEPALIVE: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, milliseconds(detectWithin)); err != nil {
		return fmt.Errorf("set TCP_USER_TIMEOUT: %w", err)
	}
	err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, tcpRTOMaxMS, milliseconds(RTOMax(detectWithin)))
	if err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return fmt.Errorf("set TCP_RTO_MAX_MS: %w", err)
	}
	rtoMax.Store(err == nil)
	return nil
}

func milliseconds(d time.Duration) int { return int(max(d.Milliseconds(), 1)) }

// Draining reports whether c, a TCP socket of ours, still has bytes on the way and got an acknowledgement within d: it is slow,
// not dead. Without bytes on the way acknowledgements say nothing: whatever ended TCP took our ping, and no one answers it.
func Draining(c net.Conn, d time.Duration) bool {
	info, ok := tcpInfo(c)
	if !ok {
		return false
	}
	return info.Unacked+info.Notsent_bytes > 0 && time.Duration(info.Last_ack_recv)*time.Millisecond < d
}

// Acknowledged reports whether the other side's TCP has acknowledged all that was written to c, a TCP socket of ours.
func Acknowledged(c net.Conn) bool {
	info, ok := tcpInfo(c)
	return ok && info.Unacked+info.Notsent_bytes == 0 && info.State == tcpEstablished
}

// Throughput is what the kernel saw c carry, in bytes a second; 0: it does not know.
func Throughput(c net.Conn) int64 {
	info, ok := tcpInfo(c)
	if !ok || (*[8]byte)(unsafe.Pointer(info))[appLimitedByte]&1 != 0 {
		return 0
	}
	return int64(info.Delivery_rate)
}

// appLimitedByte of struct tcp_info has, in its lowest bit, tcpi_delivery_rate_app_limited: the rate is that of who had little to
// send.
const appLimitedByte = 7

// AckNow sends the acknowledgement that the kernel still holds back (up to 200 ms), and reports whether c is a socket that does.
func AckNow(c net.Conn) bool {
	return onSocket(c, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
}

// onSocket calls f with the descriptor of c; false when c is no socket, or f failed.
func onSocket(c net.Conn, f func(fd int) error) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	ctlErr := rc.Control(func(fd uintptr) { err = f(int(fd)) })
	return ctlErr == nil && err == nil
}

// tcpInfo is what the kernel knows of c, a TCP socket of ours.
func tcpInfo(c net.Conn) (info *unix.TCPInfo, ok bool) {
	ok = onSocket(c, func(fd int) (err error) {
		info, err = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		return err
	})
	return info, ok
}

// Abort lets Close send an RST and nothing else: a connection whose path is gone has no use for a FIN that is repeated.
func Abort(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}
