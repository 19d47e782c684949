package serialport

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// mustOpen opens the near end of a cable and closes it after the test.
func mustOpen(t *testing.T, c *porttest.Cable) Port {
	t.Helper()
	p, err := Open(t.Context(), c.Path, Line{Baud: 115200, Mode: Mode{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestOpenSetsTheLine(t *testing.T) {
	for _, baud := range []int{9600, 115200, 250000, 31250} {
		c := porttest.NewCable(t)
		p, err := Open(t.Context(), c.Path, Line{Baud: baud, Mode: Mode{DataBits: 8, Parity: 'N', Stop: TwoStop}})
		if err != nil {
			t.Fatal(err)
		}
		raw, err := c.Far.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		var set *unix.Termios
		if cerr := raw.Control(func(fd uintptr) { set, err = unix.IoctlGetTermios(int(fd), unix.TCGETS2) }); cerr != nil ||
			err != nil {
			t.Fatal(cerr, err)
		}
		if set.Ospeed != uint32(baud) || set.Cflag&unix.CSTOPB == 0 {
			t.Errorf("%d baud, 2 stop bits: %d, cflag %o", baud, set.Ospeed, set.Cflag)
		}
		if set.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || set.Iflag&(unix.IXON|unix.ICRNL|unix.ISTRIP) != 0 ||
			set.Oflag&unix.OPOST != 0 {
			t.Errorf("not raw: %+v", set)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), filepath.Join(dir, "ttyUSB7"), Line{Baud: 9600, Mode: Mode{}}); !errors.Is(err, ErrAbsent) ||
		!strings.Contains(err.Error(), "ttyUSB7") {
		t.Errorf("missing: %v", err)
	}
	if _, err := Open(t.Context(), file, Line{Baud: 9600, Mode: Mode{}}); err == nil ||
		!strings.Contains(err.Error(), "not a serial port") {
		t.Errorf("a file: %v", err)
	}
	if err := openError("/dev/ttyUSB0", unix.EACCES); !errors.Is(err, os.ErrPermission) ||
		!strings.Contains(err.Error(), "dialout") {
		t.Errorf("no permission: %v", err)
	}
	if err := openError("/dev/ttyUSB0", unix.EBUSY); !errors.Is(err, ErrInUse) {
		t.Errorf("exclusive: %v", err)
	}
	if err := openError("/dev/ttyS3", unix.EIO); !errors.Is(err, ErrAbsent) {
		t.Errorf("a place without a UART: %v", err)
	}
}

func TestASecondOpenerIsRefused(t *testing.T) {
	c := porttest.NewCable(t)
	p := mustOpen(t, c)
	if _, err := Open(t.Context(), c.Path, Line{Baud: 9600, Mode: Mode{}}); !errors.Is(err, ErrInUse) {
		t.Errorf("second opener: %v", err)
	}
	// the first one is not disturbed: same baud rate, still exclusive, bytes flow
	if _, err := c.Far.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 16)
	if n, err := p.Read(buf, time.Now().Add(porttest.Patience)); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("read %q, %v", buf[:n], err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), c.Path, Line{Baud: 9600, Mode: Mode{}})
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	_ = again.Close()
}

// Every way in which another program may hold a port, with the program named.
func TestAPortHeldByAnotherProgramIsRefused(t *testing.T) {
	asTTY := func(path string) error { // without the exception for pseudo-terminals
		fd, err := openTTY(path)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return claim(fd, path, false)
	}
	open := func(path string) error {
		p, err := Open(t.Context(), path, Line{Baud: 9600, Mode: Mode{}})
		if err == nil {
			err = p.Close()
		}
		return err
	}
	for name, c := range map[string]struct {
		hold func(fd int) error
		open func(path string) error
	}{
		"flock":          {func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }, open},
		"exclusive mode": {func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0) }, asTTY},
	} {
		hold, open := c.hold, c.open
		t.Run(name, func(t *testing.T) {
			c := porttest.NewCable(t)
			f, err := os.OpenFile(c.Path, os.O_RDWR|unix.O_NOCTTY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := hold(int(f.Fd())); err != nil {
				t.Fatal(err)
			}
			// cat inherits the descriptor and with it the claim
			cat := exec.Command("cat")
			cat.ExtraFiles = []*os.File{f}
			in, err := cat.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cat.Start(); err != nil {
				t.Fatal(err)
			}
			_ = f.Close()
			who := Holders([]string{"/dev/not-this-one", c.Path})
			if who[0] != "" || who[1] != "cat, pid "+strconv.Itoa(cat.Process.Pid) {
				t.Errorf("holders %q", who)
			}
			err = open(c.Path)
			if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "pid "+strconv.Itoa(cat.Process.Pid)) {
				t.Errorf("error %v, want one that names pid %d", err, cat.Process.Pid)
			}
			_ = in.Close()
			if err := cat.Wait(); err != nil {
				t.Fatal(err)
			}
			// the exclusive mode is still set: a program that was killed must not lock a pseudo-terminal indefinitely
			p := mustOpen(t, c)
			_ = p.Close()
		})
	}
}

// A program that takes no lock is found too, before the port is opened. /dev/full stands for a port: no other program has it
// open, and it is no pseudo-terminal.
func TestAPortThatIsOnlyOpenIsRefused(t *testing.T) {
	const port = "/dev/full"
	f, err := os.OpenFile(port, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	cat := exec.Command("cat")
	cat.ExtraFiles = []*os.File{f}
	in, err := cat.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	_, err = Open(t.Context(), port, Line{})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "cat, pid "+strconv.Itoa(cat.Process.Pid)) {
		t.Errorf("error %v, want one that names pid %d", err, cat.Process.Pid)
	}
	_ = in.Close()
	if err := cat.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err = Open(t.Context(), port, Line{}); errors.Is(err, ErrInUse) || err == nil { // we have it open ourselves
		t.Errorf("after cat: %v", err)
	}
	_ = f.Close()
}

// A tty as the kernel makes it edits what it reads. What it edited is not read, what comes afterwards is as it was sent; and one
// that was raw already loses nothing.
func TestWhatATTYEditedIsNotRead(t *testing.T) {
	for _, raw := range []bool{false, true} {
		c := porttest.NewCable(t)
		near, err := os.OpenFile(c.Path, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer near.Close()
		want := "after\r\x03\x11\n"
		if raw {
			if err := setRaw(int(near.Fd())); err != nil {
				t.Fatal(err)
			}
			want = "be\x7f\x15fore\r" + want
		}
		if _, err := c.Far.WriteString("be\x7f\x15fore\r"); err != nil {
			t.Fatal(err)
		}
		if !raw { // the echo says that it was edited
			if _, err := c.Far.Read(make([]byte, 64)); err != nil {
				t.Fatal(err)
			}
		}
		p := mustOpen(t, c)
		if _, err := c.Far.WriteString("after\r\x03\x11\n"); err != nil {
			t.Fatal(err)
		}
		var got []byte
		for buf := make([]byte, 64); len(got) < len(want); {
			n, err := p.Read(buf, porttest.Later())
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, buf[:n]...)
		}
		if string(got) != want {
			t.Errorf("raw before %v: %q, want %q", raw, got, want)
		}
	}
}

func TestAfterCloseNothingIsTouched(t *testing.T) {
	c := porttest.NewCable(t)
	p := mustOpen(t, c)
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	// whatever gets the old descriptors must not see a byte
	file, err := os.CreateTemp(t.TempDir(), "reused")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	soon := time.Now().Add(time.Second)
	if _, err := p.Write([]byte("stray"), soon); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write: %v", err)
	}
	if _, err := p.Read(make([]byte, 8), soon); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if err := p.Drain(soon); !errors.Is(err, os.ErrClosed) {
		t.Errorf("drain: %v", err)
	}
	if err := p.Discard(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("discard: %v", err)
	}
	if st, err := file.Stat(); err != nil || st.Size() != 0 {
		t.Errorf("%d stray bytes, %v", st.Size(), err)
	}
}

func TestCloseReleasesWhoeverWaits(t *testing.T) {
	c := porttest.NewCable(t)
	p := mustOpen(t, c)
	read, write := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := p.Read(make([]byte, 8), time.Time{})
		read <- err
	}()
	go func() {
		_, err := p.Write(bytes.Repeat([]byte("x"), 1<<20), time.Time{})
		write <- err
	}()
	porttest.Eventually(t, "a full buffer", func() bool { return c.Queued(t) > 0 })
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for _, ch := range []chan error{read, write} {
		if err := porttest.Recv(t, ch, "a released call"); !errors.Is(err, os.ErrClosed) {
			t.Errorf("released with %v", err)
		}
	}
}

func TestAHangUpHasOneName(t *testing.T) {
	c := porttest.NewCable(t)
	p := mustOpen(t, c)
	if err := c.Far.Close(); err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(porttest.Patience)
	if _, err := p.Read(make([]byte, 8), until); !errors.Is(err, ErrGone) {
		t.Errorf("read: %v", err)
	}
	if _, err := p.Write([]byte("x"), until); !errors.Is(err, ErrGone) {
		t.Errorf("write: %v", err)
	}
	if err := p.Drain(until); !errors.Is(err, ErrGone) {
		t.Errorf("drain: %v", err)
	}
}

func TestADeadlineThatPassedStillReadsWhatIsWaiting(t *testing.T) {
	c := porttest.NewCable(t)
	p := mustOpen(t, c)
	past := time.Now().Add(-time.Second)
	buf := make([]byte, 8)
	if n, err := p.Read(buf, past); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d, %v", n, err)
	}
	if _, err := c.Far.WriteString("here"); err != nil {
		t.Fatal(err)
	}
	var n int
	porttest.Eventually(t, "the bytes", func() bool {
		var err error
		n, err = p.Read(buf, past)
		return err == nil
	})
	if string(buf[:n]) != "here" {
		t.Errorf("read %q", buf[:n])
	}
}

// A program that we start (a hook) must not hold the port open.
func TestChildrenInheritNothing(t *testing.T) {
	c := porttest.NewCable(t)
	mustOpen(t, c)
	out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(out), c.Path+"\n") {
		t.Errorf("a child has the port open:\n%s", out)
	}
}

// The names of a process in a container are those of its own /dev.
func TestWhoHasAPortIsToldByTheDeviceNotItsName(t *testing.T) {
	for name, c := range map[string]struct {
		mounted, over string
		held          bool
	}{
		"another device under its name": {"/dev/zero", "/dev/full", false},
		"it under another name":         {"/dev/full", "/dev/zero", true},
	} {
		cmd := exec.Command("unshare", "-m", "sh", "-c", "mount --bind "+c.mounted+" "+c.over+" && exec 3<>"+c.over+
			" && echo ready && exec sleep 60")
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Skip("needs unshare: ", err)
		}
		line, _ := bufio.NewReader(out).ReadString('\n')
		who, all := holder("/dev/full"), Holders([]string{"/dev/full"})
		_ = cmd.Process.Kill()
		if err := cmd.Wait(); line == "" {
			t.Skip("needs root for a mount namespace: ", err)
		}
		if (who != "") != c.held || who != all[0] {
			t.Errorf("%s: held by %q, %q", name, who, all[0])
		}
	}
}
