package serialport

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
	"testing"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

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
	address, _ := porttest.SerialServer(t)
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
		if cerr := control(p.conn, func(fd int) { got, err = unix.GetsockoptInt(fd, c[0], c[1]) }); cerr != nil || err != nil ||
			got != c[2] {
			t.Errorf("%s is %d, want %d (%v %v)", name, got, c[2], cerr, err)
		}
	}
}

// A server that forgot the connection without a word (its power failed): the next byte is answered by a reset.
func TestAServerThatForgotUsIsGone(t *testing.T) {
	address, conns := porttest.SerialServer(t)
	p := dialTo(t, "tcp://"+address)
	server := porttest.Recv(t, conns, "the connection")
	var err error
	if cerr := control(server, func(fd int) {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
	}); cerr != nil || err != nil {
		t.Skip("only root can make a socket vanish: ", cerr, err)
	}
	_ = server.Close()
	if _, err := p.Write([]byte("x"), porttest.Later()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(make([]byte, 1), porttest.Later()); !errors.Is(err, ErrGone) {
		t.Errorf("read: %v", err)
	}
	if err := p.Drain(porttest.Later()); err != nil && !errors.Is(err, ErrGone) {
		t.Errorf("drain: %v", err)
	}
}

func TestDialingEndsWithTheContext(t *testing.T) {
	address, conns := porttest.SerialServer(t)
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
	address, conns := porttest.SerialServer(t)
	go func() {
		c := <-conns
		_, _ = c.Write([]byte{telnetIAC, telnetDONT, optionComPort})
	}()
	if _, err := Open(t.Context(), "rfc2217://"+address, Line{}); !errors.Is(err, errNoComPort) {
		t.Errorf("%v", err)
	}
}

// ser2net, which is not ours, on a pseudo-terminal.
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
			cable := porttest.NewCable(t)
			near, err := os.OpenFile(cable.Path, os.O_RDWR|unix.O_NOCTTY, 0) // or the far end reads EIO until ser2net opens it
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
			text := fmt.Sprintf("connection: &con\n  accepter: %s,127.0.0.1,%s\n  connector: serialdev,%s,9600n81,local\n",
				c.accepter, number, cable.Path)
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
			porttest.Eventually(t, "ser2net to listen", func() bool {
				p, err = Open(t.Context(), c.scheme+address,
					Line{Baud: 57600, Mode: Mode{DataBits: 8, Parity: 'N', Stop: TwoStop}})
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
			if _, err := p.Write(all, porttest.Later()); err != nil {
				t.Fatal(err)
			}
			if err := p.Drain(porttest.Later()); err != nil {
				t.Error(err)
			}
			got := make([]byte, len(all))
			if _, err := io.ReadFull(cable.Far, got); err != nil || !bytes.Equal(got, all) {
				t.Errorf("to the device: %x %v", got, err)
			}
			if c.scheme == schemeRFC2217 {
				var set *unix.Termios
				if cerr := control(cable.Far, func(fd int) { set, err = unix.IoctlGetTermios(fd, unix.TCGETS2) }); cerr != nil ||
					err != nil {
					t.Fatal(cerr, err)
				}
				if set.Ospeed != 57600 || set.Cflag&unix.CSTOPB == 0 {
					t.Errorf("ser2net has set %d baud, cflag %o", set.Ospeed, set.Cflag)
				}
			}
			if _, err := cable.Far.Write(all); err != nil {
				t.Fatal(err)
			}
			for n := 0; n < len(all); {
				k, err := p.Read(got[n:], porttest.Later())
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
