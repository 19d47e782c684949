package bridge

import (
	"errors"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// Our own choices. To open an absent path is one system call, and as cheap as a look at it. To open a port that is there may
// raise its modem lines, so after an error it is tried less often.
const (
	absentAgain = 500 * time.Millisecond
	lookAgain   = 250 * time.Millisecond // between two looks at the device node, while one of the other times is waited for
	faultFirst  = 250 * time.Millisecond // after plugging in, udev needs a moment to set the permissions
	faultMax    = 5 * time.Second
	stableAfter = 10 * time.Second // a port that was open for so long begins with faultFirst again
)

// retry says how long to wait before the next attempt. The zero value is ready.
type retry struct{ delay time.Duration }

// changed is called when the port has another identity: what failed before says nothing about it.
func (r *retry) changed() { r.delay = 0 }

// served is called after a port was open for lived. One that fails at once each time must not make a tight loop.
func (r *retry) served(lived time.Duration) {
	if lived >= stableAfter {
		r.delay = 0
	}
}

// after is called when opening failed or a port was lost with err.
func (r *retry) after(err error) time.Duration {
	if errors.Is(err, serialport.ErrAbsent) {
		r.delay = 0 // what comes back was plugged in again
		return absentAgain
	}
	if errors.Is(err, serialport.ErrAborted) {
		return 0 // we ended the session ourselves, after a timeout
	}
	r.delay = min(max(2*r.delay, faultFirst), faultMax)
	return r.delay
}
