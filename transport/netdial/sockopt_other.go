//go:build !linux

package netdial

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// RTOMax is the longest pause between two retransmissions that is wanted.
func RTOMax(detectWithin time.Duration) time.Duration { return max(time.Second, detectWithin/6) }

// socketOptions sets nothing: only Linux has what we need.
func socketOptions(time.Duration, *atomic.Bool, string) func(network, address string, c syscall.RawConn) error {
	return nil
}

// Draining is not known here.
func Draining(net.Conn, time.Duration) bool { return false }

// Acknowledged is not known here.
func Acknowledged(net.Conn) bool { return false }

// Throughput is not known here.
func Throughput(net.Conn) int64 { return 0 }

// AckNow cannot be done here.
func AckNow(net.Conn) bool { return false }

// Abort cannot be done here.
func Abort(net.Conn) {}
