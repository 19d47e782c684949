package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// serialServer is a TCP server that hands its connections to the test.
func serialServer(t *testing.T) (address string, conns <-chan *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	ch := make(chan *net.TCPConn, 64)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			ch <- c.(*net.TCPConn)
		}
	}()
	return l.Addr().String(), ch
}

func TestASerialServerAsAPort(t *testing.T) {
	address, conns := serialServer(t)
	var server *net.TCPConn
	s := newSite(t, func(o *Options) { o.Port = "tcp://" + address })
	for i := range 3 {
		s.wantState(Opened)
		server = recv(t, conns, "the connection")
		if _, err := fmt.Fprintf(server, "frame %d\r\n\xff\x00bytes\nto", i); err != nil {
			t.Fatal(err)
		}
		if a, b := recv(t, s.frames, "a frame"), recv(t, s.frames, "a frame"); a != fmt.Sprint("frame ", i) || b != "\xff\x00bytes" {
			t.Errorf("%q %q", a, b)
		}
		done := make(chan error, 1)
		if err := s.dev.Write([]byte("command"), time.Time{}, func(err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := recv(t, done, "the write"); err != nil {
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

func dialTo(t *testing.T, port string) Port {
	t.Helper()
	p, err := Open(t.Context(), port, Line{Baud: 19200})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestTheSocketNoticesAServerThatIsGone(t *testing.T) {
	address, _ := serialServer(t)
	p := dialTo(t, "tcp://"+address).(*netPort)
	for name, c := range map[string][3]int{
		"SO_KEEPALIVE":     {unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		"TCP_KEEPIDLE":     {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15},
		"TCP_KEEPINTVL":    {unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 5},
		"TCP_KEEPCNT":      {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		"TCP_USER_TIMEOUT": {unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 30_000},
		"TCP_NODELAY":      {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		var got int
		var err error
		if cerr := control(p.conn, func(fd int) { got, err = unix.GetsockoptInt(fd, c[0], c[1]) }); cerr != nil || err != nil || got != c[2] {
			t.Errorf("%s is %d, want %d (%v %v)", name, got, c[2], cerr, err)
		}
	}
}

// A server that forgot the connection without a word (its power failed): the next byte is answered by a reset.
func TestAServerThatForgotUsIsGone(t *testing.T) {
	address, conns := serialServer(t)
	p := dialTo(t, "tcp://"+address)
	server := recv(t, conns, "the connection")
	var err error
	if cerr := control(server, func(fd int) { err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, 1) }); cerr != nil || err != nil {
		t.Skip("only root can make a socket vanish: ", cerr, err)
	}
	_ = server.Close()
	if _, err := p.Write([]byte("x"), later()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 1), later()); !errors.Is(err, ErrGone) {
		t.Errorf("read: %v", err)
	}
	if err := p.Drain(later()); err != nil && !errors.Is(err, ErrGone) {
		t.Errorf("drain: %v", err)
	}
}

func TestBytesThatGotStuckNeverArriveLater(t *testing.T) {
	address, conns := serialServer(t)
	s := newSite(t, func(o *Options) {
		o.Port, o.WriteTimeout, o.Framing.Max, o.Baud = "tcp://"+address, 200*time.Millisecond, 64<<20, 4_000_000
		o.Framing.CharTime = time.Nanosecond // or it would be given the minutes that it takes
	})
	s.wantState(Opened)
	server := recv(t, conns, "the connection") // which reads nothing
	big := bytes.Repeat([]byte("x"), 32<<20)
	done := make(chan error, 1)
	if err := s.dev.Write(big, time.Time{}, func(err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := recv(t, done, "the stuck write"); !errors.Is(err, ErrStuck) {
		t.Errorf("%v", err)
	}
	s.wantState(Absent)
	n, err := io.Copy(io.Discard, server)
	if err == nil || n >= int64(len(big)) {
		t.Errorf("%d bytes arrived, then %v", n, err)
	}
	s.wantState(Opened)
}

func TestDialingEndsWithTheContext(t *testing.T) {
	address, conns := serialServer(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-conns // and not a word of Telnet
		cancel()
	}()
	if _, err := Open(ctx, "rfc2217://"+address, Line{}); err == nil {
		t.Error("no error")
	}
}

func TestATelnetServerWithoutRFC2217SaysSo(t *testing.T) {
	address, conns := serialServer(t)
	go func() {
		c := <-conns
		_, _ = c.Write([]byte{telnetIAC, telnetDONT, optionComPort})
	}()
	if _, err := Open(t.Context(), "rfc2217://"+address, Line{}); !errors.Is(err, errNoComPort) {
		t.Errorf("%v", err)
	}
}

// ser2net, which nobody here wrote, on a pseudo-terminal.
func TestSer2net(t *testing.T) {
	program, err := exec.LookPath("ser2net")
	if err != nil {
		program = "/usr/sbin/ser2net"
	}
	if _, err := os.Stat(program); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("ser2net is not installed: run build/setup.sh")
		}
		t.Skip("ser2net is not installed: run build/setup.sh")
	}
	for _, c := range []struct{ scheme, accepter string }{{schemeTCP, "tcp"}, {schemeRFC2217, "telnet(rfc2217),tcp"}} {
		t.Run(c.scheme, func(t *testing.T) {
			cable := newCable(t)
			near, err := os.OpenFile(cable.path, os.O_RDWR|unix.O_NOCTTY, 0) // or the far end reads EIO until ser2net opens it
			if err != nil {
				t.Fatal(err)
			}
			defer near.Close()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			address := l.Addr().String()
			_ = l.Close()
			_, number, _ := net.SplitHostPort(address)
			conf := filepath.Join(t.TempDir(), "ser2net.yaml")
			text := fmt.Sprintf("connection: &con\n  accepter: %s,127.0.0.1,%s\n  connector: serialdev,%s,9600n81,local\n", c.accepter, number, cable.path)
			if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(program, "-n", "-u", "-c", conf)
			cmd.Stderr = os.Stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
			var p Port
			eventually(t, "ser2net to listen", func() bool {
				p, err = Open(t.Context(), c.scheme+address, Line{Baud: 57600, Mode: Mode{DataBits: 8, Parity: 'N', Stop: TwoStop}})
				if err != nil && !errors.Is(err, unix.ECONNREFUSED) {
					t.Fatal(err)
				}
				return err == nil
			})
			defer p.Close()
			all := make([]byte, 512) // every byte, 255 too, both ways
			for i := range all {
				all[i] = byte(i)
			}
			if _, err := p.Write(all, later()); err != nil {
				t.Fatal(err)
			}
			if err := p.Drain(later()); err != nil {
				t.Error(err)
			}
			got := make([]byte, len(all))
			if _, err := io.ReadFull(cable.far, got); err != nil || !bytes.Equal(got, all) {
				t.Errorf("to the device: %x %v", got, err)
			}
			if c.scheme == schemeRFC2217 {
				var set *unix.Termios
				if cerr := control(cable.far, func(fd int) { set, err = unix.IoctlGetTermios(fd, unix.TCGETS2) }); cerr != nil || err != nil {
					t.Fatal(cerr, err)
				}
				if set.Ospeed != 57600 || set.Cflag&unix.CSTOPB == 0 {
					t.Errorf("ser2net has set %d baud, cflag %o", set.Ospeed, set.Cflag)
				}
			}
			if _, err := cable.far.Write(all); err != nil {
				t.Fatal(err)
			}
			for n := 0; n < len(all); {
				k, err := p.Read(got[n:], later())
				if err != nil {
					t.Fatal(err)
				}
				n += k
			}
			if !bytes.Equal(got, all) {
				t.Errorf("from the device: %x", got)
			}
			if err := p.Discard(); err != nil {
				t.Error(err)
			}
		})
	}
}
