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

func (*Pty) set(Line) error { return errors.ErrUnsupported }

func (*Pty) look() (Line, error) { return Line{}, errors.ErrUnsupported }

func (*Pty) pending() int { return 0 }

func (*Pty) empty() {}
