package netdial

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	netGroups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE |
		unix.RTMGRP_IPV6_ROUTE
	netSettle  = 100 * time.Millisecond // one change comes as many messages
	netMessage = 16 << 10               // bytes
)

// Watch calls changed after each change of interfaces, addresses or routes (rtnetlink(7)), until ctx is done. What has changed
// is for changed to find out: a message may be lost, a state not.
func Watch(ctx context.Context, changed func()) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: netGroups}); err != nil {
		_ = unix.Close(fd)
		return err
	}
	f := os.NewFile(uintptr(fd), "rtnetlink")
	stop := context.AfterFunc(ctx, func() { _ = f.Close() })
	defer func() { stop(); _ = f.Close() }()
	timer := time.AfterFunc(time.Hour, changed)
	timer.Stop()
	defer timer.Stop()
	buf := make([]byte, netMessage)
	for {
		_, err := f.Read(buf)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // which says that there was more than fits
			return err
		}
		timer.Reset(netSettle)
	}
}
