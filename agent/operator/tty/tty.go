// Package tty is the operator's side of a remote console: a terminal that hands over each key, and a pseudo-terminal that other
// programs take for a serial port.
package tty

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Line is how a program has set its end of a pseudo-terminal.
type Line struct {
	Baud int
	Mode string // 8N1
}

// linesLook is how often a pseudo-terminal is asked how its other end is set: the kernel tells nobody.
const linesLook = 100 * time.Millisecond

// Pty is a pseudo-terminal whose far end is ours. Path is what a program opens; it stays when that program closes it.
type Pty struct {
	Path string
	far  *os.File
	near *os.File
}

// Read reads what the program writes.
func (p *Pty) Read(b []byte) (int, error) { return p.far.Read(b) }

// Write writes what the program reads; it waits while that does not.
func (p *Pty) Write(b []byte) (int, error) { return p.far.Write(b) }

// Close ends calls that wait, and hangs up.
func (p *Pty) Close() error {
	err := p.far.Close()
	if e := p.near.Close(); err == nil {
		err = e
	}
	return err
}

// Lines tells each change of the line that a program makes, until ctx ends.
func (p *Pty) Lines(ctx context.Context) <-chan Line {
	changes := make(chan Line)
	go func() {
		defer close(changes)
		look := time.NewTicker(linesLook)
		defer look.Stop()
		last, _ := p.line()
		for {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
			now, err := p.line()
			if err != nil || now == last {
				continue
			}
			select {
			case changes <- now:
				last = now
			case <-ctx.Done():
				return
			}
		}
	}()
	return changes
}

// String is the line as people write it.
func (l Line) String() string { return fmt.Sprintf("%d %s", l.Baud, l.Mode) }
