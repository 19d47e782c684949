package serialport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// Flow is how the other end may stop us.
type Flow string

// The kinds of flow control there are.
const (
	FlowNone    Flow = ""
	FlowRTSCTS  Flow = "rts_cts"  // by wires of their own
	FlowXonXoff Flow = "xon_xoff" // by the bytes 0x11 and 0x13, which the data must not hold then
)

// The ways to switch the driver of a line with two wires.
const (
	RS485Off    = ""
	RS485Kernel = "kernel" // the driver of the port does it (TIOCSRS485): exact
	RS485RTS    = "rts"    // we set RTS before the first byte and clear it after the last: late by what the scheduler takes
	RS485GPIO   = "gpio"   // the same with a line of a GPIO chip
)

// RS485 is a half-duplex line: who sends switches the driver on, waits Before, sends, waits After and switches it off.
type RS485 struct {
	Mode          string // [RS485Off], [RS485Kernel], [RS485RTS], [RS485GPIO]
	Before, After time.Duration
	Invert        bool   // the driver is on while RTS, or the GPIO line, is off
	Chip          string // gpio: "gpiochip0" or a path
	Line          int    // gpio: offset on the chip
}

// DefaultBaud is that of a line whose options say nothing.
const DefaultBaud = 9600

// maxRS485Delay is RS485_MAX_RTS_DELAY of the kernel (drivers/tty/serial/serial_core.c).
const maxRS485Delay = 100 * time.Millisecond

// Check says what does not go together on a port.
func (l Line) Check(port string) error {
	r := l.RS485
	switch l.Flow {
	case FlowNone, FlowRTSCTS, FlowXonXoff:
	default:
		return fmt.Errorf("flow %q: use rts_cts or xon_xoff, or nothing", l.Flow)
	}
	switch {
	case r.Mode == RS485Off:
		return nil
	case IsNetwork(port):
		return errors.New("rs485 is for a port of this machine: a serial server switches by itself")
	case r.Before < 0 || r.After < 0 || r.Before > maxRS485Delay || r.After > maxRS485Delay:
		return fmt.Errorf("rs485: delays are 0 to %v", maxRS485Delay)
	case l.Flow == FlowRTSCTS && r.Mode != RS485GPIO:
		return errors.New("rs485 and flow control rts_cts both need RTS")
	}
	switch r.Mode {
	case RS485Kernel:
		if r.Before%time.Millisecond != 0 || r.After%time.Millisecond != 0 {
			return errors.New("rs485: the kernel takes delays in whole milliseconds")
		}
	case RS485RTS:
	case RS485GPIO:
		if r.Chip == "" || r.Line < 0 {
			return errors.New("rs485: gpio needs a chip and a line")
		}
	default:
		return fmt.Errorf("rs485 mode %q: use kernel, rts or gpio", r.Mode)
	}
	return nil
}

// The schemes of ports that are reached over the network.
const (
	schemeTCP     = "tcp://"     // the bytes as they are
	schemeRFC2217 = "rfc2217://" // with the settings of the line
)

// IsNetwork is true of a port behind a serial server.
func IsNetwork(port string) bool {
	return strings.HasPrefix(port, schemeTCP) || strings.HasPrefix(port, schemeRFC2217)
}

// ServerKey is the address of a serial server in one spelling, whatever the scheme; config has the same.
func ServerKey(port string) string {
	_, address, _ := strings.Cut(port, "://")
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	}
	return net.JoinHostPort(strings.TrimSuffix(strings.ToLower(host), "."), strings.TrimLeft(number, "0"))
}
