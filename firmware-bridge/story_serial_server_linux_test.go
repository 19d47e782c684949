package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

func TestASerialServerAsAPort(t *testing.T) {
	address, conns := porttest.SerialServer(t)
	var server *net.TCPConn
	s := newSite(t, func(o *Options) { o.Port = "tcp://" + address })
	for i := range 3 {
		s.wantState(Opened)
		server = porttest.Recv(t, conns, "the connection")
		if _, err := fmt.Fprintf(server, "frame %d\r\n\xff\x00bytes\nto", i); err != nil {
			t.Fatal(err)
		}
		if a, b := porttest.Recv(t, s.frames, "a frame"), porttest.Recv(t, s.frames, "a frame"); a != fmt.Sprint("frame ", i) ||
			b != "\xff\x00bytes" {
			t.Errorf("%q %q", a, b)
		}
		done := make(chan error, 1)
		if err := s.dev.Write([]byte("command"), time.Time{}, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := porttest.Recv(t, done, "the write"); err != nil {
			t.Error(err)
		}
		buf := make([]byte, 8)
		if _, err := io.ReadFull(server, buf); err != nil || string(buf) != "command\n" {
			t.Errorf("%q %v", buf, err)
		}
		_ = server.Close()
		if e := s.wantState(Absent); !strings.Contains(e.Why, "closed the connection") {
			t.Errorf("%+v", e)
		}
	}
	s.wantState(Opened)
}

func TestAServerThatIsNotThereIsAFaultThatSaysSo(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	s := newSite(t, func(o *Options) { o.Port = "tcp://" + address })
	if e := s.wantState(Failed); !strings.Contains(e.Why, "connection refused") {
		t.Errorf("%+v", e)
	}
}

func TestBytesThatGotStuckNeverArriveLater(t *testing.T) {
	address, conns := porttest.SerialServer(t)
	s := newSite(t, func(o *Options) {
		o.Port, o.WriteTimeout, o.Framing.Max, o.Baud = "tcp://"+address, 200*time.Millisecond, 64<<20, 4_000_000
		o.Framing.CharTime = time.Nanosecond // or it would be given the minutes that it takes
	})
	s.wantState(Opened)
	server := porttest.Recv(t, conns, "the connection") // which reads nothing
	big := bytes.Repeat([]byte("x"), 32<<20)
	done := make(chan error, 1)
	if err := s.dev.Write(big, time.Time{}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := porttest.Recv(t, done, "the stuck write"); !errors.Is(err, ErrStuck) {
		t.Errorf("%v", err)
	}
	s.wantState(Absent)
	n, err := io.Copy(io.Discard, server)
	if err == nil || n >= int64(len(big)) {
		t.Errorf("%d bytes arrived, then %v", n, err)
	}
	s.wantState(Opened)
}
