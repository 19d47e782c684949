package serialport

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"go.bug.st/serial"
	"golang.org/x/sys/unix"
)

// Open opens a port for us alone: a tty, raw, at any baud rate that its driver takes, or a port behind a serial server
// (tcp://host:port, rfc2217://host:port).
func Open(ctx context.Context, path string, line Line) (Port, error) {
	if line.Baud == 0 {
		line.Baud = DefaultBaud
	}
	line.Mode = line.Mode.OrDefault()
	if err := line.Check(path); err != nil {
		return nil, err
	}
	if IsNetwork(path) {
		return dial(ctx, path, line)
	}
	return openLine(path, line, kernelIoctl)
}

// openLine opens a tty.
func openLine(path string, line Line, ask ioctl) (Port, error) {
	if err := checkUnused(path); err != nil {
		return nil, err
	}
	fd, err := openTTY(path)
	if err != nil {
		return nil, err
	}
	p, err := setUp(fd, path, line, ask)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	p.errors.begin(p.ask)
	d, err := p.withRS485(line.RS485)
	if err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// withRS485 is p with the line switched as r says: by the driver of the port, or by us.
func (p *ttyPort) withRS485(r RS485) (Port, error) {
	switch r.Mode {
	case RS485Off:
		return p, nil
	case RS485Kernel:
		return p, p.setRS485(r)
	case RS485RTS:
		return NewHalfDuplex(p, rtsLine{p, r.Invert}, r)
	}
	gpio, err := openGPIO(p.ioctl, r)
	if err != nil {
		return nil, err
	}
	d, err := NewHalfDuplex(p, gpio, r)
	if err != nil {
		_ = gpio.Close()
		return nil, err
	}
	return d, nil
}

// openTTY opens the descriptor that all bytes will go through. Without O_NONBLOCK open would wait for a carrier.
func openTTY(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	for errors.Is(err, unix.EINTR) {
		fd, err = unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return -1, openError(path, err)
	}
	if _, err = unix.IoctlGetTermios(fd, unix.TCGETS); err != nil {
		_ = unix.Close(fd)
		if errors.Is(err, unix.ENOTTY) {
			return -1, fmt.Errorf("%s is not a serial port", path)
		}
		return -1, openError(path, err)
	}
	return fd, nil
}

func openError(path string, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV), errors.Is(err, unix.EIO):
		return fmt.Errorf("%s: %w", path, ErrAbsent)
	case errors.Is(err, unix.EBUSY):
		return inUse(path)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return fmt.Errorf("%s: %w; add the user to the group that owns it (often dialout)", path, os.ErrPermission)
	}
	return fmt.Errorf("open %s: %w", path, err)
}

// setUp claims the tty, sets the line and makes the port. The caller closes fd when it fails.
func setUp(fd int, path string, line Line, ask ioctl) (*ttyPort, error) {
	pseudo, err := isPTYFile(fd)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := claim(fd, path, pseudo); err != nil {
		return nil, err
	}
	if err := setRaw(fd); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := setLine(fd, path, line.Baud, line.Mode); err != nil {
		return nil, err
	}
	if err := setFlow(fd, line.Flow); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	// the library took the flag away when it closed its descriptor
	if !pseudo {
		if err := unix.IoctlSetInt(fd, unix.TIOCEXCL, 0); err != nil {
			return nil, fmt.Errorf("%s: exclusive mode: %w", path, err)
		}
	}
	drainFD, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: second descriptor: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := f.SetDeadline(time.Time{}); err != nil {
		_ = unix.Close(drainFD)
		return nil, fmt.Errorf("%s: cannot be waited for with a deadline: %w", path, err)
	}
	drain := tcdrain
	if line.RS485.Mode != RS485Off {
		drain = drainToEmpty(ask, line.Mode.CharTime(line.Baud))
	}
	return &ttyPort{path: path, f: f, drainer: newDrainer(drainFD, drain), ioctl: ask}, nil
}

// claim takes the tty, or refuses it, before anything on it is changed. Exclusive mode does not keep root from opening a port,
// so it is looked at first; flock(2) is what two of us, and the better terminal programs, respect. On a pseudo-terminal
// exclusive mode means nothing: after a program was killed it stays on for as long as the far end is open.
func claim(fd int, path string, pseudo bool) error {
	if excl, err := unix.IoctlGetInt(fd, unix.TIOCGEXCL); err == nil && excl != 0 && !pseudo {
		return inUse(path)
	}
	err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return inUse(path)
	}
	if err != nil {
		return fmt.Errorf("%s: lock: %w", path, err)
	}
	return nil
}

// checkUnused refuses a port that another program has open, as far as /proc shows it to us. Most programs take neither lock nor
// exclusive mode, and then each of two would read half of the bytes. It looks before the port is opened, because that raises
// the modem lines, which resets many boards. A pseudo-terminal is not refused: the program that made it may keep its near end
// open.
func checkUnused(path string) error {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || isPTY(&st) {
		return nil // to open it gives the right error
	}
	if who := holder(path); who != "" {
		return fmt.Errorf("%s: %w: %s", path, ErrInUse, who)
	}
	return nil
}

// Major device numbers of near ends: UNIX98_PTY_SLAVE_MAJOR and the seven after it, linux/major.h.
const ptyMajor, ptyMajors = 136, 8

func isPTYFile(fd int) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	return isPTY(&st), nil
}

func isPTY(st *unix.Stat_t) bool {
	major := unix.Major(uint64(st.Rdev))
	return major >= ptyMajor && major < ptyMajor+ptyMajors
}

// inUse names the program that holds the port, when it can be seen.
func inUse(path string) error {
	if who := holder(path); who != "" {
		return fmt.Errorf("%s: %w: %s", path, ErrInUse, who)
	}
	return fmt.Errorf("%s: %w", path, ErrInUse)
}

// setRaw makes the tty raw before anything else. A new tty echoes to the device what the device says, and edits what we read.
// What it has edited already, and not echoed yet, is dropped, as if the port had been opened a moment later.
func setRaw(fd int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("raw mode: %w", err)
	}
	const edits = unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL
	if t.Lflag&(unix.ICANON|unix.ECHO) == 0 && t.Iflag&edits == 0 {
		return nil // it is; what waits is as it came
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	if err = unix.IoctlSetTermios(fd, unix.TCSETS, t); err == nil {
		err = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH)
	}
	if err != nil {
		return fmt.Errorf("raw mode: %w", err)
	}
	return nil
}

// setLine lets the library set raw mode, baud rate and character format. It opens the tty by our descriptor, since the path may
// lead elsewhere by now. The descriptor of the library lacks O_CLOEXEC, so nothing may fork until that is closed again.
func setLine(fd int, path string, baud int, mode Mode) error {
	m, err := libraryMode(baud, mode)
	if err != nil {
		return err
	}
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	port, err := serial.Open(fmt.Sprintf("/proc/self/fd/%d", fd), m)
	if err != nil {
		if errors.Is(err, unix.EIO) || errors.Is(err, unix.ENXIO) {
			return fmt.Errorf("%s: %w", path, ErrAbsent)
		}
		return fmt.Errorf("%s: set to %d baud %s: %w", path, baud, mode, err)
	}
	return port.Close()
}

// setFlow adds flow control to the raw mode that the library has set. TCSETS keeps any baud rate.
func setFlow(fd int, flow Flow) error {
	if flow == FlowNone {
		return nil
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("flow control: %w", err)
	}
	if flow == FlowRTSCTS {
		t.Cflag |= unix.CRTSCTS
	} else {
		t.Iflag |= unix.IXON | unix.IXOFF
		t.Cc[unix.VSTART], t.Cc[unix.VSTOP] = 0x11, 0x13 // XON and XOFF, DC1 and DC3 of ASCII
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, t); err != nil {
		return fmt.Errorf("flow control: %w", err)
	}
	got, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return fmt.Errorf("flow control: %w", err)
	}
	if flow == FlowRTSCTS && got.Cflag&unix.CRTSCTS == 0 {
		return errors.New("the driver of this port has no flow control rts_cts")
	}
	return nil
}

func libraryMode(baud int, mode Mode) (*serial.Mode, error) {
	mode = mode.OrDefault()
	parity, ok := map[byte]serial.Parity{'N': serial.NoParity, 'E': serial.EvenParity, 'O': serial.OddParity,
		'M': serial.MarkParity, 'S': serial.SpaceParity}[mode.Parity]
	if !ok {
		return nil, fmt.Errorf("parity %q: use N, E, O, M or S", mode.Parity)
	}
	stop := serial.OneStopBit
	if mode.Stop != OneStop {
		stop = serial.TwoStopBits // CSTOPB: with 5 data bits a UART makes 1.5 of it
	}
	return &serial.Mode{BaudRate: baud, DataBits: mode.DataBits, Parity: parity, StopBits: stop}, nil
}
