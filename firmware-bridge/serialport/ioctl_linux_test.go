package serialport

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// call is one recorded ioctl: the request, and what the kernel reads, in hex without the zeros at its end.
type call struct {
	request uint
	arg     string
}

// recorder plays the driver of a port. What it does not know is ENOTTY, as for a pseudo-terminal.
type recorder struct {
	calls  []call
	answer map[uint]func(arg []byte) error
}

func (d *recorder) ask(_ int, request uint, arg []byte) error {
	d.calls = append(d.calls, call{request, strings.TrimRight(hex.EncodeToString(arg), "0")})
	if do := d.answer[request]; do != nil {
		return do(arg)
	}
	return unix.ENOTTY
}

func take([]byte) error { return nil }

func little(t *testing.T) {
	t.Helper()
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the recorded bytes are those of a little endian machine")
	}
}

// Bytes as a C program that includes linux/serial.h and linux/gpio.h writes them, see testdata/ioctl.c.
func TestBytesOfTheKernelsStructs(t *testing.T) {
	little(t)
	for name, c := range map[string]struct {
		got  []byte
		size int
		want string
	}{
		"rs485": {encodeRS485(RS485{Before: 1 * time.Millisecond, After: 20 * time.Millisecond}), 32,
			"03000000" + "01000000" + "14000000"},
		"rs485 inverted": {encodeRS485(RS485{Invert: true}), 32, "05000000"},
		"gpio request": {encodeGPIORequest(17, false), 592,
			"11000000" + strings.Repeat("00", 252) + hex.EncodeToString([]byte("linkbeat rs485")) + strings.Repeat("00", 18) +
				"0800000000000000" + strings.Repeat("00", 264) + "01000000"},
		"gpio request, active low": {encodeGPIORequest(0, true), 592,
			strings.Repeat("00", 256) + hex.EncodeToString([]byte("linkbeat rs485")) + strings.Repeat("00", 18) +
				"0a00000000000000" + strings.Repeat("00", 264) + "01000000"},
		"gpio on":  {encodeGPIOValue(true), 16, "0100000000000000" + "01"},
		"gpio off": {encodeGPIOValue(false), 16, "0000000000000000" + "01"},
	} {
		want := c.want + strings.Repeat("00", c.size-len(c.want)/2)
		if got := hex.EncodeToString(c.got); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
	}
	for name, request := range map[string][2]uint{
		"GPIO_V2_GET_LINE_IOCTL":        {unix.GPIO_V2_GET_LINE_IOCTL, 0xc250b407},
		"GPIO_V2_LINE_SET_VALUES_IOCTL": {unix.GPIO_V2_LINE_SET_VALUES_IOCTL, 0xc010b40f},
	} {
		if request[0] != request[1] {
			t.Errorf("%s is %#x", name, request[0])
		}
	}
}

// The C compiler of this machine agrees with the bytes, and with the layout for 64 and for 32 bits.
func TestTheCompilerHasTheSameLayout(t *testing.T) {
	little(t)
	cc, err := exec.LookPath("gcc")
	if err != nil || runtime.GOARCH != "amd64" {
		t.Skip("needs gcc on amd64, for -m32")
	}
	for _, bits := range []string{"-m64", "-m32"} {
		// the headers in this folder serve both; Debian keeps it out of the way of -m32
		out, err := exec.Command(cc, bits, "-fsyntax-only", "-I/usr/include/x86_64-linux-gnu", "testdata/layout.c").
			CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", bits, err, out)
		}
	}
	program := filepath.Join(t.TempDir(), "ioctl")
	if out, err := exec.Command(cc, "-o", program, "testdata/ioctl.c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := strings.Join([]string{
		hex.EncodeToString(encodeRS485(RS485{Before: 1 * time.Millisecond, After: 20 * time.Millisecond})),
		hex.EncodeToString(encodeGPIORequest(17, true)), hex.EncodeToString(encodeGPIOValue(true)), "80 24 28 32 36 40",
		"588", ""}, "\n")
	if got, err := exec.Command(program).Output(); err != nil || string(got) != want {
		t.Errorf("%v\n got %s\nwant %s", err, got, want)
	}
}

func TestRS485OfTheKernel(t *testing.T) {
	wish := RS485{Mode: RS485Kernel, After: 2 * time.Millisecond}
	had := RS485{Invert: true, Before: 5 * time.Millisecond} // as some other program left it
	get := func(after RS485, on bool, err error) func([]byte) error {
		asked := 0
		return func(arg []byte) error {
			if asked++; asked == 1 {
				copy(arg, encodeRS485(had))
				return nil
			} else if on {
				copy(arg, encodeRS485(after))
			}
			return err
		}
	}
	for name, c := range map[string]struct {
		set, get func([]byte) error
		says     string // "": it works
		undone   bool
	}{
		"as wished":           {take, get(wish, true, nil), "", true},
		"none":                {nil, nil, "the driver of this port has none", false},
		"none to set":         {nil, get(wish, true, nil), "the driver of this port has none", false},
		"not switched on":     {take, get(wish, false, nil), "does not switch it on", true},
		"the other polarity":  {take, get(RS485{Invert: true, After: wish.After}, true, nil), "invert_rts", true},
		"delays of its own":   {take, get(RS485{}, true, nil), "waits 0 ms before and 0 ms after", true},
		"not allowed":         {func([]byte) error { return unix.EPERM }, get(wish, true, nil), "not permitted", false},
		"gone while it asked": {take, get(wish, false, unix.EIO), "input/output", true},
	} {
		d := &recorder{answer: map[uint]func([]byte) error{unix.TIOCSRS485: c.set, unix.TIOCGRS485: c.get}}
		cable := porttest.NewCable(t)
		p, err := openLine(cable.Path, Line{Baud: 9600, Mode: Mode{}.OrDefault(), RS485: wish}, d.ask)
		switch {
		case c.says == "" && err != nil, c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			_ = p.Close()
		}
		last := d.calls[len(d.calls)-1]
		back := call{unix.TIOCSRS485, strings.TrimRight(hex.EncodeToString(encodeRS485(had)), "0")}
		if (last == back) != c.undone {
			t.Errorf("%s: the last call is %x", name, last)
		}
	}
}

func TestRS485ByRTS(t *testing.T) {
	little(t)
	for _, invert := range []bool{false, true} {
		sent := 0
		d := &recorder{}
		d.answer = map[uint]func([]byte) error{unix.TIOCMBIS: take, unix.TIOCMBIC: take,
			unix.TIOCSERGETLSR: func(arg []byte) error { // the shift register is empty at the third look
				if sent++; sent == 3 {
					binary.NativeEndian.PutUint32(arg, unix.TIOCSER_TEMT)
				}
				return nil
			}}
		cable := porttest.NewCable(t)
		p, err := openLine(cable.Path, Line{Baud: 9600, Mode: Mode{}.OrDefault(), RS485: RS485{Mode: RS485RTS, Invert: invert}},
			d.ask)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Write([]byte("x"), porttest.Later()); err != nil {
			t.Error(err)
		}
		if err := p.Drain(porttest.Later()); err != nil {
			t.Error(err)
		}
		_ = p.Close()
		on, off := uint(unix.TIOCMBIS), uint(unix.TIOCMBIC)
		if invert {
			on, off = off, on
		}
		const rts = "04" // TIOCM_RTS is 4
		want := []call{{unix.TIOCGICOUNT, ""}, {off, rts}, {on, rts}, {unix.TIOCSERGETLSR, ""}, {unix.TIOCSERGETLSR, ""},
			{unix.TIOCSERGETLSR, ""}, {off, rts}, {off, rts}}
		if !slices.Equal(d.calls, want) {
			t.Errorf("invert %v:\n got %x\nwant %x", invert, d.calls, want)
		}
	}
}

func TestRS485ByGPIO(t *testing.T) {
	little(t)
	file := filepath.Join(t.TempDir(), "gpiochip0")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d := &recorder{}
	d.answer = map[uint]func([]byte) error{unix.GPIO_V2_LINE_SET_VALUES_IOCTL: take,
		unix.GPIO_V2_GET_LINE_IOCTL: func(arg []byte) error {
			line, err := unix.Open(file, unix.O_RDONLY|unix.O_CLOEXEC, 0) // stands for the descriptor of the line
			binary.NativeEndian.PutUint32(arg[gpioFD:], uint32(line))
			return err
		}}
	cable := porttest.NewCable(t)
	line := Line{Baud: 9600, Mode: Mode{}.OrDefault(), RS485: RS485{Mode: RS485GPIO, Chip: file, Line: 17}}
	before := len(porttest.Descriptors(t))
	p, err := openLine(cable.Path, line, d.ask)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("x"), porttest.Later()); err != nil {
		t.Error(err)
	}
	if err := errors.Join(p.Drain(porttest.Later()), p.Close()); err != nil {
		t.Error(err)
	}
	if _, err := p.Write([]byte("x"), porttest.Later()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	const on, off = "0100000000000000" + "01", "0000000000000000" + "01"
	set := uint(unix.GPIO_V2_LINE_SET_VALUES_IOCTL)
	var got []call
	for _, c := range d.calls {
		if c.request == set {
			got = append(got, c)
		}
	}
	if want := []call{{set, off}, {set, on}, {set, off}, {set, off}}; !slices.Equal(got, want) {
		t.Errorf("\n got %x\nwant %x", got, want)
	}
	if after := len(porttest.Descriptors(t)); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	for errno, says := range map[unix.Errno]string{unix.EBUSY: "in use", unix.EINVAL: "has no line 17",
		unix.EPERM: "not permitted"} {
		d.answer[unix.GPIO_V2_GET_LINE_IOCTL] = func([]byte) error { return errno }
		if _, err := openLine(cable.Path, line, d.ask); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v: %v", errno, err)
		}
	}
}

func TestLineErrorsAreThoseSinceTheStart(t *testing.T) {
	counters := map[int]uint32{24: 5, 28: 0xffffffff, 32: 7, 36: 0, 40: 1} // as some other program left them
	d := &recorder{answer: map[uint]func([]byte) error{unix.TIOCGICOUNT: func(arg []byte) error {
		if len(arg) != icountSize {
			t.Errorf("%d bytes for the kernel to write 80 into", len(arg))
		}
		for at, n := range counters {
			binary.NativeEndian.PutUint32(arg[at:], n)
		}
		return nil
	}}}
	cable := porttest.NewCable(t)
	open := func() Port {
		p, err := openLine(cable.Path, Line{Baud: 9600, Mode: Mode{}.OrDefault()}, d.ask)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := open()
	look := func() LineErrors { e, _ := p.(ErrorCounter).LineErrors(); return e }
	if e := look(); e != (LineErrors{}) {
		t.Errorf("%+v", e)
	}
	counters[24], counters[28], counters[36] = 6, 1, 4 // overrun wrapped around
	if e := look(); e != (LineErrors{Framing: 1, Overrun: 2, Break: 4}) {
		t.Errorf("%+v", e)
	}
	_ = p.Close()
	if e := look(); e != (LineErrors{Framing: 1, Overrun: 2, Break: 4}) {
		t.Errorf("after Close: %+v", e)
	}
	none := mustOpen(t, porttest.NewCable(t))
	if _, known := none.(ErrorCounter).LineErrors(); known {
		t.Error("a pseudo-terminal counts nothing")
	}
}

func TestFlowControl(t *testing.T) {
	for flow, want := range map[Flow][2]uint32{FlowNone: {0, 0}, FlowRTSCTS: {unix.CRTSCTS, 0},
		FlowXonXoff: {0, unix.IXON | unix.IXOFF}} {
		c := porttest.NewCable(t)
		p, err := Open(t.Context(), c.Path, Line{Baud: 250000, Flow: flow})
		if err != nil {
			t.Fatal(err)
		}
		var set *unix.Termios
		if cerr := control(c.Far, func(fd int) { set, err = unix.IoctlGetTermios(fd, unix.TCGETS2) }); cerr != nil || err != nil {
			t.Fatal(cerr, err)
		}
		if set.Cflag&unix.CRTSCTS != want[0] || set.Iflag&(unix.IXON|unix.IXOFF) != want[1] || set.Ospeed != 250000 {
			t.Errorf("%q: cflag %o, iflag %o, %d baud", flow, set.Cflag, set.Iflag, set.Ospeed)
		}
		_ = p.Close()
	}
}
