package serialport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Flags of a line, linux/gpio.h, GPIO_V2_LINE_FLAG_….
const (
	gpioActiveLow = 1 << 1
	gpioOutput    = 1 << 3
)

// struct gpio_v2_line_request, 592 bytes, the same on 32 and 64 bits:
//
//	0 offsets u32 × 64 │ 256 consumer, 32 chars │ 288 config │ 560 lines u32 │ 564 events u32 │ 568 padding │ 588 fd s32
//
// and the config in it: 0 flags u64 │ 8 attributes u32 │ 12 padding │ 32 attributes, 24 bytes × 10. An output without an
// attribute begins inactive. struct gpio_v2_line_values: 0 bits u64 │ 8 mask u64.
const (
	gpioRequestSize = 592
	gpioConsumer    = 256
	gpioFlags       = 288
	gpioLines       = 560
	gpioFD          = 588
	gpioValuesSize  = 16
)

func encodeGPIORequest(line int, invert bool) []byte {
	b := make([]byte, gpioRequestSize)
	flags := uint64(gpioOutput)
	if invert {
		flags |= gpioActiveLow
	}
	binary.NativeEndian.PutUint32(b, uint32(line))
	copy(b[gpioConsumer:], "linkbeat rs485")
	binary.NativeEndian.PutUint64(b[gpioFlags:], flags)
	binary.NativeEndian.PutUint32(b[gpioLines:], 1)
	return b
}

func encodeGPIOValue(on bool) []byte {
	b := make([]byte, gpioValuesSize)
	if on {
		binary.NativeEndian.PutUint64(b, 1)
	}
	binary.NativeEndian.PutUint64(b[8:], 1)
	return b
}

// gpioLine switches the driver with a line of a GPIO chip, by the second version of the character device (Linux 5.10).
// The file guards against a descriptor that was closed and means another file now.
type gpioLine struct {
	ask ioctl
	f   *os.File
}

// openGPIO takes a line; no other program can have it until Close.
func openGPIO(ask ioctl, r RS485) (*gpioLine, error) {
	chip := r.Chip
	if !filepath.IsAbs(chip) {
		chip = filepath.Join("/dev", chip)
	}
	fd, err := unix.Open(chip, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("rs485: open %s: %w", chip, err)
	}
	defer unix.Close(fd)
	request := encodeGPIORequest(r.Line, r.Invert)
	switch err := ask(fd, unix.GPIO_V2_GET_LINE_IOCTL, request); {
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("rs485: line %d of %s: %w", r.Line, chip, ErrInUse)
	case errors.Is(err, unix.EINVAL):
		return nil, fmt.Errorf("rs485: %s has no line %d", chip, r.Line)
	case err != nil:
		return nil, fmt.Errorf("rs485: line %d of %s: %w", r.Line, chip, err)
	}
	line := int32(binary.NativeEndian.Uint32(request[gpioFD:]))
	return &gpioLine{ask, os.NewFile(uintptr(line), chip)}, nil
}

func (l *gpioLine) Send(on bool) error {
	raw, err := l.f.SyscallConn()
	if err != nil {
		return err
	}
	cerr := raw.Control(func(fd uintptr) { err = l.ask(int(fd), unix.GPIO_V2_LINE_SET_VALUES_IOCTL, encodeGPIOValue(on)) })
	if err = errors.Join(cerr, err); err != nil {
		return fmt.Errorf("set the GPIO line: %w", err)
	}
	return nil
}

func (l *gpioLine) Close() error { return l.f.Close() }
