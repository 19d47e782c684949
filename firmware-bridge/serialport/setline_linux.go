package serialport

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"
)

// SetLine implements [LineSetter]. Flow control, raw mode and RS-485 stay as they are.
func (p *ttyPort) SetLine(c LineChange) error {
	var err error
	if c.Baud > 0 || c.Mode != (Mode{}) {
		if cerr := p.control(func(fd int) { err = changeLine(fd, c) }); cerr != nil {
			err = cerr
		}
	}
	if err != nil {
		return p.portError(err)
	}
	for bit, on := range map[int]*bool{unix.TIOCM_DTR: c.DTR, unix.TIOCM_RTS: c.RTS} {
		if on == nil {
			continue
		}
		request := uint(unix.TIOCMBIC)
		if *on {
			request = unix.TIOCMBIS
		}
		if err := p.ask(request, binary.NativeEndian.AppendUint32(nil, uint32(bit))); err != nil { // an int
			return fmt.Errorf("set DTR or RTS: %w", p.portError(err))
		}
	}
	if c.Break {
		if cerr := p.control(func(fd int) { err = unix.IoctlSetInt(fd, unix.TCSBRK, 0) }); cerr != nil {
			err = cerr
		}
	}
	return p.portError(err)
}

// changeLine sets any baud rate (BOTHER) and format at once; c.Mode zero leaves the format.
func changeLine(fd int, c LineChange) error {
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return fmt.Errorf("line settings: %w", err)
	}
	if c.Baud > 0 {
		t.Cflag = t.Cflag&^(unix.CBAUD|unix.CBAUD<<unix.IBSHIFT) | unix.BOTHER
		t.Ispeed, t.Ospeed = uint32(c.Baud), uint32(c.Baud)
	}
	if m := c.Mode; m != (Mode{}) {
		t.Cflag &^= unix.CSIZE | unix.PARENB | unix.PARODD | unix.CMSPAR | unix.CSTOPB
		t.Cflag |= map[int]uint32{5: unix.CS5, 6: unix.CS6, 7: unix.CS7, 8: unix.CS8}[m.DataBits]
		t.Cflag |= map[byte]uint32{'E': unix.PARENB, 'O': unix.PARENB | unix.PARODD, 'S': unix.PARENB | unix.CMSPAR,
			'M': unix.PARENB | unix.PARODD | unix.CMSPAR}[m.Parity]
		if m.Stop != OneStop {
			t.Cflag |= unix.CSTOPB
		}
	}
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, t); err != nil {
		return fmt.Errorf("line settings: %w", err)
	}
	return nil
}
