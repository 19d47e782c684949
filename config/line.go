package config

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Mode is how characters look on a serial line, written 8N1.
type Mode struct {
	DataBits int  // 5 to 8
	Parity   byte // 'N'one, 'E'ven, 'O'dd, 'M'ark or 'S'pace
	StopBits int  // 1 or 2
}

// String writes m as 8N1.
func (m Mode) String() string { return fmt.Sprintf("%d%c%d", m.DataBits, m.Parity, m.StopBits) }

// MarshalText writes m as 8N1.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads 8N1, 7E1, 8n2 and the like.
func (m *Mode) UnmarshalText(p []byte) error {
	text := strings.ToUpper(string(p))
	if len(text) != 3 || text[0] < '5' || text[0] > '8' || !strings.ContainsRune("NEOMS", rune(text[1])) ||
		text[2] != '1' && text[2] != '2' {
		return errors.New("must be data bits 5 to 8, parity N, E, O, M or S, and stop bits 1 or 2, such as 8N1 or 7E1")
	}
	*m = Mode{DataBits: int(text[0] - '0'), Parity: text[1], StopBits: int(text[2] - '0')}
	return nil
}

// Hex is a few bytes, written as hex digits: 0d0a, "aa 55" or aa:55.
type Hex []byte

// String writes the digits without anything between them.
func (h Hex) String() string { return hex.EncodeToString(h) }

// MarshalText writes h as String does.
func (h Hex) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText reads pairs of hex digits; spaces and colons between them are for the eye.
func (h *Hex) UnmarshalText(p []byte) error {
	text := strings.NewReplacer(" ", "", ":", "").Replace(string(p))
	b, err := hex.DecodeString(text)
	if err != nil {
		return errors.New(`must be pairs of hex digits, such as "0d0a"`)
	}
	*h = b
	return nil
}
