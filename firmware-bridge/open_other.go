//go:build !linux

package bridge

import (
	"context"
	"errors"
)

// Open says that this system is not served: what [Port] promises is built on Linux calls.
func Open(context.Context, string, Line) (Port, error) {
	return nil, errors.New("serial ports need Linux")
}

// holders knows nobody here.
func holders(paths []string) []string { return make([]string, len(paths)) }

func node(string) string { return "" }
