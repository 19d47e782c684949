// Package tty is the operator's side of a remote console: a terminal that hands over each key, and a pseudo-terminal that other
// programs take for a serial port.
package tty

import (
	"errors"
	"os"
	"sync"
	"time"
)

// Line is what a program can set about its end of a pseudo-terminal: the kernel keeps no parity and no data bits there.
type Line struct {
	Baud int
	Stop int // 1 or 2
}

// How long a program may leave a full buffer unread before it is taken for absent, and after that; what the kernel's buffers do.
const (
	unreadFor   = 2 * time.Second
	unreadAgain = 10 * time.Millisecond
	bufferHolds = 128 << 10 // bytes, and more than that
	bufferMoves = 20 * time.Millisecond
)

// Pty is a pseudo-terminal whose far end is ours. Path is what a program opens; it stays when that program closes it.
type Pty struct {
	Path string
	far  *os.File
	near *os.File

	// of Write
	unread bool // no program reads: what does not fit is dropped
	since  int  // bytes written since the buffer was emptied
	last   time.Time

	mu   sync.Mutex
	line Line // as we know it
}

// Read reads what the program writes.
func (p *Pty) Read(b []byte) (int, error) { return p.far.Read(b) }

// Write writes what the program reads. As with a serial port, what no program reads is lost: when the buffer stays full it is
// emptied, and ErrUnread comes once. All of b is dealt with then.
func (p *Pty) Write(b []byte) (n int, err error) {
	if p.unread && p.isRead(time.Now()) {
		p.unread = false
	}
	wait := unreadFor
	if p.unread {
		wait = unreadAgain
	}
	_ = p.far.SetWriteDeadline(time.Now().Add(wait))
	n, err = p.far.Write(b)
	p.since, p.last = p.since+n, time.Now()
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	p.empty()
	if p.since, err = 0, nil; !p.unread {
		p.unread, err = true, ErrUnread
	}
	return len(b), err
}

// isRead reports whether a program has read what was written since the buffer was emptied: more than fits, or all, when the
// kernel had the time to move it to the program's end.
func (p *Pty) isRead(now time.Time) bool {
	return p.since > bufferHolds || p.since > 0 && now.Sub(p.last) > bufferMoves && p.pending() == 0
}

// ErrUnread says that what was written is lost, since no program reads it.
var ErrUnread = errors.New("no program reads the pseudo-terminal: what the device sends is dropped until one does")

// Close ends calls that wait, and hangs up.
func (p *Pty) Close() error {
	err := p.far.Close()
	if e := p.near.Close(); err == nil {
		err = e
	}
	return err
}

// SetLine sets the line as a program would; zero stays as it is. Changed does not tell it.
func (p *Pty) SetLine(l Line) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.set(l); err != nil {
		return err
	}
	var err error
	p.line, err = p.look()
	return err
}

// Changed is what a program has set since the last call: zero is as it was. False: nothing. From any goroutine.
func (p *Pty) Changed() (Line, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, err := p.look()
	if err != nil || now == p.line {
		return Line{}, false
	}
	changed := now
	if now.Baud == p.line.Baud {
		changed.Baud = 0
	}
	if now.Stop == p.line.Stop {
		changed.Stop = 0
	}
	p.line = now
	return changed, true
}
