//go:build !linux

package serialport

import (
	"context"
	"errors"
)

// Open returns an error: what [Port] promises is built on Linux calls.
func Open(context.Context, string, Line) (Port, error) {
	return nil, errors.New("serial ports need Linux")
}

// Holders finds no process on this system.
func Holders(paths []string) []string { return make([]string, len(paths)) }

// Identity finds no device on this system.
func Identity(string) string { return "" }
