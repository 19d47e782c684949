package tty

import (
	"bytes"
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func open(t *testing.T) (p *Pty, program *os.File) {
	t.Helper()
	p, err := OpenPty()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	fd, err := unix.Open(p.Path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	program = os.NewFile(uintptr(fd), p.Path)
	t.Cleanup(func() { _ = program.Close() })
	return p, program
}

// A program sets the line and writes at once: who reads the bytes knows of the change by then.
func TestAChangeIsKnownBeforeTheBytesThatFollowIt(t *testing.T) {
	p, program := open(t)
	if err := p.SetLine(Line{9600, 1}); err != nil {
		t.Fatal(err)
	}
	if l, ok := p.Changed(); ok {
		t.Errorf("our own setting is told: %v", l)
	}
	term, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	term.Cflag = term.Cflag&^unix.CBAUD | unix.BOTHER | unix.CSTOPB
	term.Ispeed, term.Ospeed = 115200, 115200
	if err := unix.IoctlSetTermios(int(program.Fd()), unix.TCSETS2, term); err != nil {
		t.Fatal(err)
	}
	if _, err := program.WriteString("sync"); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	n, err := p.Read(b)
	if l, ok := p.Changed(); err != nil || string(b[:n]) != "sync" || !ok || l != (Line{115200, 2}) {
		t.Errorf("%q, %v: %v %v", b[:n], err, l, ok)
	}
	if l, ok := p.Changed(); ok {
		t.Errorf("told twice: %v", l)
	}
}

// What no program reads is lost, as with a serial port: a program that comes later does not read what is minutes old.
func TestWhatNobodyReadsIsLost(t *testing.T) {
	p, program := open(t)
	old := bytes.Repeat([]byte("old "), 256)
	begun, told := time.Now(), 0
	for range 1000 {
		n, err := p.Write(old)
		if errors.Is(err, ErrUnread) {
			told++
		} else if err != nil {
			t.Fatal(err)
		}
		if n != len(old) {
			t.Fatalf("%d of %d bytes", n, len(old))
		}
	}
	if told != 1 || time.Since(begun) > time.Minute {
		t.Errorf("told %d times in %v", told, time.Since(begun))
	}
	b, total := make([]byte, 64<<10), 0
	for {
		_ = program.SetReadDeadline(time.Now().Add(500 * time.Millisecond)) // the kernel moves what is between the ends by and by
		n, err := program.Read(b)
		if total += n; err != nil {
			break
		}
	}
	if total > 64<<10 {
		t.Errorf("%d old bytes", total)
	}
	if _, err := p.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	_ = program.SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := program.Read(b); err != nil || !bytes.HasSuffix(b[:n], []byte("new")) {
		t.Errorf("%q, %v", b[:n], err)
	}
}

// The exclusive use that a program asked for ends with it.
func TestExclusiveUseDoesNotOutlastAProgram(t *testing.T) {
	p, program := open(t)
	if err := unix.IoctlSetInt(int(program.Fd()), unix.TIOCEXCL, 0); err != nil {
		t.Fatal(err)
	}
	_ = program.Close()
	_, _ = p.Changed()
	const tiocgexcl = 0x80045440
	if v, err := unix.IoctlGetInt(int(p.near.Fd()), tiocgexcl); err != nil || v != 0 {
		t.Errorf("exclusive: %d, %v", v, err)
	}
}
