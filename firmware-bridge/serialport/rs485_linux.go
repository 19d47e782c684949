package serialport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Flags of struct serial_rs485, linux/serial.h.
const (
	rs485Enabled   = 1 << 0
	rs485OnSend    = 1 << 1 // RTS while sending
	rs485AfterSend = 1 << 2 // RTS while not sending
)

// rs485Size is the size of struct serial_rs485, the same on 32 and 64 bits, in the order of the machine:
//
//	0 flags u32 │ 4 delay before send, ms u32 │ 8 delay after send, ms u32 │ 12 addresses and padding, 20 bytes
const rs485Size = 32

func encodeRS485(r RS485) []byte {
	flags := uint32(rs485Enabled | rs485OnSend)
	if r.Invert {
		flags = rs485Enabled | rs485AfterSend
	}
	b := make([]byte, rs485Size)
	binary.NativeEndian.PutUint32(b[0:], flags)
	binary.NativeEndian.PutUint32(b[4:], uint32(r.Before/time.Millisecond))
	binary.NativeEndian.PutUint32(b[8:], uint32(r.After/time.Millisecond))
	return b
}

// setRS485 lets the driver of the port switch the line, until Close. The kernel keeps the setting when a port is closed, so
// Close sets what was before: the next program may need a line of another kind.
func (p *ttyPort) setRS485(r RS485) error {
	before := make([]byte, rs485Size)
	if err := p.ask(unix.TIOCGRS485, before); err != nil {
		return rs485Error(err)
	}
	want := encodeRS485(r)
	if err := p.ask(unix.TIOCSRS485, slices.Clone(want)); err != nil {
		return rs485Error(err)
	}
	p.rs485 = before
	got := make([]byte, rs485Size)
	if err := p.ask(unix.TIOCGRS485, got); err != nil {
		return rs485Error(err)
	}
	return sameRS485(want, got, r)
}

func rs485Error(err error) error {
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("rs485: the driver of this port has none: %w; use mode rts or gpio", err)
	}
	return fmt.Errorf("rs485: %w", err)
}

// sameRS485 checks what the driver has set: it sets what it can, and reports that only by TIOCGRS485.
func sameRS485(want, got []byte, r RS485) error {
	u32 := binary.NativeEndian.Uint32
	const mine = rs485Enabled | rs485OnSend | rs485AfterSend
	switch {
	case u32(got)&rs485Enabled == 0:
		return errors.New("rs485: the driver of this port does not switch it on; use mode rts or gpio")
	case u32(got)&mine != u32(want)&mine:
		return fmt.Errorf("rs485: the driver of this port cannot have invert_rts: %v", r.Invert)
	case u32(got[4:]) != u32(want[4:]) || u32(got[8:]) != u32(want[8:]):
		return fmt.Errorf("rs485: the driver of this port waits %d ms before and %d ms after, and nothing else", u32(got[4:]),
			u32(got[8:]))
	}
	return nil
}

// rtsLine switches the driver with RTS.
type rtsLine struct {
	port   *ttyPort
	invert bool
}

func (l rtsLine) Send(on bool) error {
	request := uint(unix.TIOCMBIC)
	if on != l.invert {
		request = unix.TIOCMBIS
	}
	arg := binary.NativeEndian.AppendUint32(nil, unix.TIOCM_RTS) // an int
	if err := l.port.portError(l.port.ask(request, arg)); err != nil {
		return fmt.Errorf("set RTS: %w", err)
	}
	return nil
}

func (rtsLine) Close() error { return nil }

// drainToEmpty waits like tcdrain(3), and then for the last character, which is still in the shift register when the buffer of
// the driver is empty. With a driver that does not know TIOCSERGETLSR it does not wait for that.
func drainToEmpty(ask ioctl, char time.Duration) func(fd int) error {
	return func(fd int) error {
		if err := tcdrain(fd); err != nil {
			return err
		}
		const fifo = 256 // no UART holds more
		for range fifo {
			var lsr [4]byte // an unsigned int
			if err := ask(fd, unix.TIOCSERGETLSR, lsr[:]); err != nil ||
				binary.NativeEndian.Uint32(lsr[:])&unix.TIOCSER_TEMT != 0 {
				return nil
			}
			time.Sleep(char)
		}
		return nil
	}
}
