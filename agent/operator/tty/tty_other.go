//go:build !linux

package tty

import (
	"errors"
	"os"
)

// Raw makes a terminal hand over each key as it comes. Not here.
func Raw(*os.File) (back func(), ok bool) { return nil, false }

// OpenPty makes a pseudo-terminal. Not here.
func OpenPty(Line) (*Pty, error) {
	return nil, errors.New("pseudo-terminals are made on Linux only")
}

func (*Pty) line() (Line, error) { return Line{}, errors.ErrUnsupported }
