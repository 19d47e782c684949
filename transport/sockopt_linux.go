package transport

import (
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	tcpRTOMaxMS = 44                // TCP_RTO_MAX_MS, Linux 6.15; not in x/sys yet
	rtoMaxHigh  = 120 * time.Second // the most that the kernel takes
)

// rtoMaxFor is the longest pause between two retransmissions: short against detect_within, so that the same connection goes
// on soon after an outage.
func rtoMaxFor(detectWithin time.Duration) time.Duration {
	return min(max(time.Second, detectWithin/6), rtoMaxHigh)
}

// socketOptions sets, before connect: no TCP keepalive; TCP_USER_TIMEOUT (RFC 5482), after which the kernel gives up
// unacknowledged data, which SO_KEEPALIVE never does; and the bound of the retransmission timer, which doubles otherwise.
// rtoMax tells whether the kernel knows the last one.
func socketOptions(detectWithin time.Duration, rtoMax *atomic.Bool) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		ctlErr := c.Control(func(fd uintptr) { err = setSocketOptions(int(fd), detectWithin, rtoMax) })
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
	err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, tcpRTOMaxMS, milliseconds(rtoMaxFor(detectWithin)))
	if err != nil && !errors.Is(err, unix.ENOPROTOOPT) {
		return fmt.Errorf("set TCP_RTO_MAX_MS: %w", err)
	}
	rtoMax.Store(err == nil)
	return nil
}

func milliseconds(d time.Duration) int { return int(max(d.Milliseconds(), 1)) }

// lastAck is how long ago the peer's TCP acknowledged anything on c; ok is false when c is not a TCP socket of ours.
func lastAck(c net.Conn) (ago time.Duration, ok bool) {
	sc, isSyscall := c.(syscall.Conn)
	if !isSyscall {
		return 0, false
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return 0, false
	}
	var info *unix.TCPInfo
	err = rc.Control(func(fd uintptr) {
		var e error
		if info, e = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); e != nil {
			info = nil
		}
	})
	if err != nil || info == nil {
		return 0, false
	}
	return time.Duration(info.Last_ack_recv) * time.Millisecond, true
}
