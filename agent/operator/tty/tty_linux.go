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
		// open for good, or the far end would hang up with each program
		p.near, err = os.OpenFile(p.Path, os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err == nil {
		err = p.SetLine(Line{})
	}
	if err != nil {
		_ = p.far.Close()
		return nil, fmt.Errorf("pseudo-terminal: %w", err)
	}
	return p, nil
}

// set makes the near end raw, with that line.
func (p *Pty) set(l Line) error {
	return p.control(func(fd int) error {
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return err
		}
		raw(t)
		if l.Baud > 0 {
			t.Cflag = t.Cflag&^unix.CBAUD | unix.BOTHER
			t.Ispeed, t.Ospeed = uint32(l.Baud), uint32(l.Baud)
		}
		switch l.Stop {
		case 1:
			t.Cflag &^= unix.CSTOPB
		case 2:
			t.Cflag |= unix.CSTOPB
		}
		return unix.IoctlSetTermios(fd, unix.TCSETS2, t)
	})
}

// control runs do on the near end, which Close does not take away meanwhile.
func (p *Pty) control(do func(fd int) error) error {
	conn, err := p.near.SyscallConn()
	if err != nil {
		return err
	}
	if cerr := conn.Control(func(fd uintptr) { err = do(int(fd)) }); cerr != nil {
		return cerr
	}
	return err
}

// look is how the near end is set. Meanwhile it gives up the exclusive use (TIOCEXCL) that a program has asked for: it would
// outlast that program, as the near end is open for good.
func (p *Pty) look() (l Line, err error) {
	err = p.control(func(fd int) error {
		_ = unix.IoctlSetInt(fd, unix.TIOCNXCL, 0)
		t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return err
		}
		l = Line{Baud: int(t.Ospeed), Stop: 1}
		if t.Cflag&unix.CSTOPB != 0 {
			l.Stop = 2
		}
		return nil
	})
	return l, err
}

// pending is how many bytes the program could read.
func (p *Pty) pending() (n int) {
	_ = p.control(func(fd int) (err error) { n, err = unix.IoctlGetInt(fd, unix.TIOCINQ); return err })
	return n
}

// empty drops what was written and not read: in the kernel's buffer between the ends, and at the near end.
func (p *Pty) empty() {
	if conn, err := p.far.SyscallConn(); err == nil {
		_ = conn.Control(func(fd uintptr) { _ = unix.IoctlSetInt(int(fd), unix.TCFLSH, unix.TCOFLUSH) })
	}
	_ = p.control(func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) })
}
