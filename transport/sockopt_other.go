//go:build !linux

package transport

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

func rtoMaxFor(detectWithin time.Duration) time.Duration { return max(time.Second, detectWithin/6) }

// socketOptions sets nothing: only Linux has what we need.
func socketOptions(time.Duration, *atomic.Bool, string) func(network, address string, c syscall.RawConn) error {
	return nil
}

func draining(net.Conn, time.Duration) bool { return false }

func acknowledged(net.Conn) bool { return false }

func throughput(net.Conn) int64 { return 0 }

func ackNow(net.Conn) bool { return false }

func abort(net.Conn) {}

func sleptSince(time.Duration, time.Time) bool { return false }

func bootTime() time.Duration { return 0 }
