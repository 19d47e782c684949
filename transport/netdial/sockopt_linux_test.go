package netdial

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/transport/brokerurl"
)

func TestSocketOptionsOfTheMainLink(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for detect, rto := range map[time.Duration]int{2 * time.Second: 1000, 60 * time.Second: 10_000, 2 * time.Hour: 120_000} {
		t.Run(detect.String(), func(t *testing.T) {
			e, err := NewEndpoint(Server{URL: brokerurl.URL("mqtt://" + server.Addr().String())})
			if err != nil {
				t.Fatal(err)
			}
			s, err := New(Options{DetectWithin: detect}).Open(t.Context(), e, CauseHandshake)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			readBack(t, s, int(detect.Milliseconds()), rto)
		})
	}
}

func readBack(t *testing.T, s *Stream, userTimeout, rto int) {
	t.Helper()
	rc, err := s.Raw.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	get := func(level, option int) (v int, err error) {
		_ = rc.Control(func(fd uintptr) { v, err = unix.GetsockoptInt(int(fd), level, option) })
		return v, err
	}
	if v, err := get(unix.SOL_SOCKET, unix.SO_KEEPALIVE); v != 0 || err != nil {
		t.Errorf("SO_KEEPALIVE is %d, %v", v, err)
	}
	if v, err := get(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT); v != userTimeout || err != nil {
		t.Errorf("TCP_USER_TIMEOUT is %d, %v", v, err)
	}
	v, err := get(unix.IPPROTO_TCP, tcpRTOMaxMS)
	if errors.Is(err, unix.ENOPROTOOPT) && !s.RTOMax {
		t.Logf("TCP_RTO_MAX_MS: this kernel has none")
		return
	}
	if v != rto || err != nil || !s.RTOMax {
		t.Errorf("TCP_RTO_MAX_MS is %d, %v; noted: %v", v, err, s.RTOMax)
	}
}

func TestUnknownOptionIsIgnoredOthersAreNot(t *testing.T) {
	var rtoMax atomic.Bool
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := setSocketOptions(fd, time.Second, &rtoMax); err == nil || rtoMax.Load() {
		t.Errorf("a socket without TCP: %v", err)
	}
}

func TestDraining(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if Draining(c, 30*time.Second) {
		t.Error("nothing was sent")
	}
	for n := 1; n > 0; { // nobody reads it: in the end all buffers are full
		_ = c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		n, _ = c.Write(make([]byte, 1<<20))
	}
	if !Draining(c, 30*time.Second) {
		t.Error("bytes are on the way, and some were just acknowledged")
	}
	if Draining(c, time.Nanosecond) {
		t.Error("nothing was acknowledged in the last nanosecond")
	}
	if one, other := net.Pipe(); Draining(one, 30*time.Second) || other.Close() != nil {
		t.Error("this is no socket")
	}
}
