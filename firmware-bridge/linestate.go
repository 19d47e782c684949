package bridge

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// lineState is what a hold has changed about the line of the port. It belongs to the goroutine that writes, and outlives a
// port: what a hold has set is set again when the port is back.
type lineState struct {
	o   *Options
	by  *Hold // nil: the line is as configured
	set serialport.LineChange
}

// charTime is how long a character takes under a hold.
func (l *lineState) charTime(h *Hold) time.Duration {
	if l.by != h || l.set.Baud == 0 && l.set.Mode == (serialport.Mode{}) {
		return l.o.Framing.CharTime
	}
	baud, mode := l.o.Baud, l.o.Mode
	if l.set.Baud > 0 {
		baud = l.set.Baud
	}
	if l.set.Mode != (serialport.Mode{}) {
		mode = l.set.Mode
	}
	return mode.CharTime(baud)
}

// change changes the line for a hold and keeps in mind how it is then.
func (l *lineState) change(port serialport.Port, h *Hold, c serialport.LineChange) error {
	if c == (serialport.LineChange{}) {
		return nil
	}
	s, ok := port.(serialport.LineSetter)
	if !ok {
		return fmt.Errorf("device %q: %w", l.o.Name, serialport.ErrFixedLine)
	}
	if l.by != h {
		l.by, l.set = h, serialport.LineChange{}
	}
	if c.Baud > 0 || c.Mode != (serialport.Mode{}) { // what was written goes out as it was meant, unless the device takes nothing
		if err := port.Drain(time.Now().Add(l.o.WriteTimeout)); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return l.o.writeError(err, port)
		}
	}
	if err := s.SetLine(c); err != nil {
		return fmt.Errorf("device %q: %w", l.o.Name, err)
	}
	l.set = l.set.With(c)
	return nil
}

// restore puts the line back that a hold changed which is not the holder any more: as configured, with DTR and RTS on, as they
// are when a port is opened.
func (l *lineState) restore(port serialport.Port, holder *Hold) {
	if l.by == nil || l.by == holder {
		return
	}
	changed := l.set
	l.by, l.set = nil, serialport.LineChange{}
	// what was written goes out as it was meant
	if errors.Is(port.Drain(time.Now().Add(l.o.WriteTimeout)), os.ErrDeadlineExceeded) {
		_ = port.Discard()
	}
	on, back := true, serialport.LineChange{Baud: l.o.Baud, Mode: l.o.Mode}
	if changed.DTR != nil {
		back.DTR = &on
	}
	if changed.RTS != nil {
		back.RTS = &on
	}
	if s, ok := port.(serialport.LineSetter); ok {
		_ = s.SetLine(back) // a port that is lost is opened with its own line
	}
}

// reapply gives a port that was opened again the line that its holder had set.
func (l *lineState) reapply(port serialport.Port, holder *Hold) {
	by, was := l.by, l.set
	l.by, l.set = nil, serialport.LineChange{}
	if holder != nil && by == holder {
		_ = l.change(port, holder, was) // the user sees that nothing sensible comes
	}
}
