package serialport

import (
	"fmt"
	"strings"
	"time"
)

// Mode is how a character looks on the line, such as 8N1. The zero value stands for 8N1.
type Mode struct {
	DataBits int      // 5 to 8
	Parity   byte     // 'N' none, 'E' even, 'O' odd, 'M' mark, 'S' space
	Stop     StopBits // 1, 1.5 or 2
}

// StopBits counts half stop bits, so that 1.5 is exact.
type StopBits int

// The stop bits there are.
const (
	OneStop        StopBits = 2
	OneAndHalfStop StopBits = 3
	TwoStop        StopBits = 4
)

// ParseMode reads data bits, parity and stop bits: "8N1", "7E1", "5N1.5". Letters of either case; empty means 8N1.
// One and a half stop bits exist only with 5 data bits (16550 UART, line control register, bit 2).
func ParseMode(s string) (Mode, error) {
	if s == "" {
		return Mode{}.OrDefault(), nil
	}
	bad := fmt.Errorf("mode %q: use data bits 5 to 8, parity N E O M or S, stop bits 1, 1.5 or 2, such as 8N1", s)
	if len(s) < 3 {
		return Mode{}, bad
	}
	m := Mode{DataBits: int(s[0]) - '0', Parity: strings.ToUpper(s[1:2])[0]}
	switch s[2:] {
	case "1":
		m.Stop = OneStop
	case "1.5":
		m.Stop = OneAndHalfStop
	case "2":
		m.Stop = TwoStop
	default:
		return Mode{}, bad
	}
	if m.DataBits < 5 || m.DataBits > 8 || !strings.ContainsRune("NEOMS", rune(m.Parity)) {
		return Mode{}, bad
	}
	if m.Stop == OneAndHalfStop && m.DataBits != 5 {
		return Mode{}, fmt.Errorf("mode %q: 1.5 stop bits exist only with 5 data bits; use 1 or 2", s)
	}
	return m, nil
}

// String is what ParseMode reads.
func (m Mode) String() string {
	m = m.OrDefault()
	stop := map[StopBits]string{OneStop: "1", OneAndHalfStop: "1.5", TwoStop: "2"}[m.Stop]
	return fmt.Sprintf("%d%c%s", m.DataBits, m.Parity, stop)
}

// CharTime is how long one character takes at baud, start and stop bits included; zero when baud is.
func (m Mode) CharTime(baud int) time.Duration {
	if baud <= 0 {
		return 0
	}
	m = m.OrDefault()
	halfBits := 2*(1+m.DataBits) + int(m.Stop)
	if m.Parity != 'N' {
		halfBits += 2
	}
	return time.Duration(halfBits) * time.Second / time.Duration(2*baud)
}

// OrDefault is 8N1 for the zero value.
func (m Mode) OrDefault() Mode {
	if m == (Mode{}) {
		return Mode{DataBits: 8, Parity: 'N', Stop: OneStop}
	}
	return m
}
