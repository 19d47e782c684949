//go:build !linux

package bridge

import "errors"

// Open says that this system is not served: what [Port] promises is built on Linux calls.
func Open(string, int, Mode) (Port, error) {
	return nil, errors.New("serial ports need Linux")
}

func node(string) string { return "" }
