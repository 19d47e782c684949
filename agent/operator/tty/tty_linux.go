package tty

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Raw makes a terminal hand over each key as it comes, until back; false: f is no terminal, and nothing was changed.
func Raw(f *os.File) (back func(), ok bool) {
	fd := int(f.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, false
	}
	t := *was
	raw(&t)
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &t); err != nil {
		return nil, false
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) }, true
}

// raw is cfmakeraw(3).
func raw(t *unix.Termios) {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
}

// OpenPty makes a raw pseudo-terminal.
func OpenPty() (*Pty, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/ptmx: %w", err)
	}
	p := &Pty{far: os.NewFile(uintptr(fd), "/dev/ptmx")}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		p.Path = fmt.Sprintf("/dev/pts/%d", n)
		p.near, err = os.OpenFile(p.Path, os.O_RDWR|unix.O_NOCTTY, 0) // open for good, or the far end would hang up with each program
	}
	if err == nil {
		err = setLine(int(p.near.Fd()), 0)
	}
	if err != nil {
		_ = p.far.Close()
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	return p, nil
}

// SetBaud sets the baud rate as a program would.
func (p *Pty) SetBaud(baud int) error { return setLine(int(p.near.Fd()), baud) }

func setLine(fd, baud int) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return err
	}
	raw(t)
	if baud > 0 {
		t.Cflag = t.Cflag&^unix.CBAUD | unix.BOTHER
		t.Ispeed, t.Ospeed = uint32(baud), uint32(baud)
	}
	return unix.IoctlSetTermios(fd, unix.TCSETS2, t)
}

// line is how the near end is set. A pseudo-terminal keeps the baud rate and the number of stop bits and nothing of parity and data
// bits, which the kernel takes for 8 bits without parity there.
func (p *Pty) line() (Line, error) {
	var t *unix.Termios
	var err error
	conn, err := p.near.SyscallConn()
	if err != nil {
		return Line{}, err
	}
	if cerr := conn.Control(func(fd uintptr) { t, err = unix.IoctlGetTermios(int(fd), unix.TCGETS2) }); cerr != nil {
		return Line{}, cerr
	}
	if err != nil {
		return Line{}, err
	}
	bits := map[uint32]byte{unix.CS5: '5', unix.CS6: '6', unix.CS7: '7', unix.CS8: '8'}[t.Cflag&unix.CSIZE]
	parity := byte('N')
	switch {
	case t.Cflag&unix.PARENB == 0:
	case t.Cflag&unix.PARODD != 0:
		parity = 'O'
	default:
		parity = 'E'
	}
	stop := byte('1')
	if t.Cflag&unix.CSTOPB != 0 {
		stop = '2'
	}
	return Line{Baud: int(t.Ospeed), Mode: string([]byte{bits, parity, stop})}, nil
}
