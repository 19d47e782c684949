package bridge

import (
	"context"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
)

// Wanted is which port the device is on, in words, before it is found.
func (o *Options) Wanted() string {
	if o.Select.IsZero() {
		return o.Port
	}
	return o.Select.String()
}

// locator finds the port of a device, and notices when another one is there.
type locator struct {
	o      *Options
	nodeAt func(path string) string // identity of the device node at a path, see [serialport.Identity]
	every  time.Duration            // between two looks at it
}

// locate returns the path of the port, as of now.
func (l *locator) locate() (path string, err error) {
	if l.o.Select.IsZero() {
		return l.o.Port, nil
	}
	return l.o.Finder.Find(l.o.Select)
}

// identity changes when the port is plugged in again; empty while there is none.
func (l *locator) identity() string {
	path, err := l.locate()
	if err != nil {
		return ""
	}
	if l.o.Select.IsZero() {
		return l.nodeAt(path)
	}
	return path + " " + l.nodeAt(path)
}

// awaitChange waits for as long as wait, and returns true as soon as the port has another identity than before.
func (l *locator) awaitChange(ctx context.Context, wait time.Duration, before string, changed <-chan struct{}) bool {
	for end := time.Now().Add(wait); ctx.Err() == nil; {
		left := time.Until(end)
		if left <= 0 {
			return false
		}
		discover.Wait(ctx, min(left, l.every), changed)
		changed, _ = l.o.Finder.Changes()
		if l.identity() != before {
			return true
		}
	}
	return false
}
