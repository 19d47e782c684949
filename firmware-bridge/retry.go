package bridge

import (
	"errors"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// Our own choices: opening an absent path costs one system call, so it is what a stat would be; opening a port that is there
// may raise its modem lines, so a fault is tried again more slowly.
const (
	absentAgain = 500 * time.Millisecond
	lookAgain   = 250 * time.Millisecond // between two looks at the device node while waiting for one of the others
	faultFirst  = 250 * time.Millisecond // after plugging in, udev needs a moment to set the permissions
	faultMax    = 5 * time.Second
	stableAfter = 10 * time.Second // a port that lived so long owes nothing
)

// retry says how long to wait before the next attempt. The zero value is ready.
type retry struct{ fault time.Duration }

// changed is called when another device node appeared at the path, or the node changed: what was learnt is void.
func (r *retry) changed() { r.fault = 0 }

// served is called after a port was open for lived. One that opens and breaks off at once must not become a tight loop.
func (r *retry) served(lived time.Duration) {
	if lived >= stableAfter {
		r.fault = 0
	}
}

// after is called when opening failed or a port was lost with err.
func (r *retry) after(err error) time.Duration {
	if errors.Is(err, serialport.ErrAbsent) {
		r.fault = 0 // what comes back is plugged in anew
		return absentAgain
	}
	if errors.Is(err, serialport.ErrAborted) {
		return 0 // it was ours, and took a timeout
	}
	r.fault = min(max(2*r.fault, faultFirst), faultMax)
	return r.fault
}
