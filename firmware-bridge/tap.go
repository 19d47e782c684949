package bridge

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Traffic is bytes that went over a port.
type Traffic struct {
	Time time.Time
	Out  bool   // we wrote them
	Data []byte // valid until the callback returns
}

// taps are the callbacks that see the traffic. Safe for concurrent use; the zero value is ready.
type taps struct {
	all atomic.Pointer[[]*func(Traffic)] // replaced, never changed

	changing sync.Mutex
}

// Tap calls f with all that is read and written from now on, until stop, also after the port was lost and opened again. Frames
// go on as before. f is called from the reader and from the writer, maybe at the same time, and must not wait.
func (d *Device) Tap(f func(Traffic)) (stop func()) {
	d.taps.change(func(all []*func(Traffic)) []*func(Traffic) { return append(all, &f) })
	return func() {
		d.taps.change(func(all []*func(Traffic)) []*func(Traffic) {
			return slices.DeleteFunc(all, func(g *func(Traffic)) bool { return g == &f })
		})
	}
}

func (t *taps) change(how func([]*func(Traffic)) []*func(Traffic)) {
	t.changing.Lock()
	defer t.changing.Unlock()
	var all []*func(Traffic)
	if now := t.all.Load(); now != nil {
		all = slices.Clone(*now)
	}
	all = how(all)
	t.all.Store(&all)
}

// passed is called after bytes were read or written.
func (t *taps) passed(now time.Time, out bool, p []byte) {
	all := t.all.Load()
	if all == nil || len(p) == 0 {
		return
	}
	for _, f := range *all {
		(*f)(Traffic{Time: now, Out: out, Data: p})
	}
}
