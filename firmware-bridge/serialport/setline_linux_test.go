package serialport

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

func TestTheLineOfAnOpenPort(t *testing.T) {
	c := porttest.NewCable(t)
	p := mustOpen(t, c).(*ttyPort)
	mode, _ := ParseMode("8N2")
	if err := p.SetLine(LineChange{Baud: 12345, Mode: mode}); err != nil {
		t.Fatal(err)
	}
	got, err := unix.IoctlGetTermios(int(c.Far.Fd()), unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	if got.Ospeed != 12345 || got.Cflag&unix.CSTOPB == 0 || got.Lflag&(unix.ECHO|unix.ICANON) != 0 {
		t.Errorf("%d baud, flags %x, local flags %x", got.Ospeed, got.Cflag, got.Lflag)
	}
	on := true
	if err := p.SetLine(LineChange{DTR: &on}); err == nil {
		t.Error("a pseudo-terminal has no DTR")
	}
	_ = p.Close()
	if err := p.SetLine(LineChange{Baud: 300}); err == nil || errors.Is(err, ErrGone) {
		t.Errorf("after Close: %v", err)
	}
}
