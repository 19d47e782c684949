//go:build !linux

package tty

import (
	"errors"
	"os"
)

// Raw makes a terminal hand over each key as it comes. Not here.
func Raw(*os.File) (back func(), ok bool) { return nil, false }

// OpenPty makes a pseudo-terminal. Not here.
func OpenPty() (*Pty, error) {
	return nil, errors.New("pseudo-terminals are made on Linux only")
}

// SetBaud sets the baud rate as a program would. Not here.
func (*Pty) SetBaud(int) error { return errors.ErrUnsupported }

func (*Pty) line() (Line, error) { return Line{}, errors.ErrUnsupported }
