package serialport

import "errors"

// Why a line was not changed. Wrapped, with the device or a detail.
var (
	// ErrFixedLine: the settings of the line cannot be changed here.
	ErrFixedLine = errors.New("the line of this port cannot be set")
	// ErrBadLine: no line can have these settings.
	ErrBadLine = errors.New("no such line")
)

// LineChange is what to change about an open line. Zero and nil leave it as it is.
type LineChange struct {
	Baud     int
	Mode     Mode
	DTR, RTS *bool
	Break    bool // send a break, of a quarter to half a second
}

// LineSetter is a [Port] whose line can be changed while it is open. It belongs to the goroutine of Write.
type LineSetter interface{ SetLine(LineChange) error }

// With is c after a further change, without the break of that.
func (c LineChange) With(more LineChange) LineChange {
	if more.Baud > 0 {
		c.Baud = more.Baud
	}
	if more.Mode != (Mode{}) {
		c.Mode = more.Mode
	}
	if more.DTR != nil {
		c.DTR = more.DTR
	}
	if more.RTS != nil {
		c.RTS = more.RTS
	}
	return c
}
