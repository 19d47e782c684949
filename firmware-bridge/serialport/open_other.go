//go:build !linux

package serialport

import (
	"context"
	"errors"
)

// Open says that this system is not served: what [Port] promises is built on Linux calls.
func Open(context.Context, string, Line) (Port, error) {
	return nil, errors.New("serial ports need Linux")
}

// Holders knows nobody here.
func Holders(paths []string) []string { return make([]string, len(paths)) }

// Identity knows no device here.
func Identity(string) string { return "" }
