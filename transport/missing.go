package transport

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// A server that throttles acknowledges some publishes, and never acknowledges others (aws-iot-device-sdk-python-v2#257: one in
// twenty). A publish is missing when one that was written after it was acknowledged: TCP keeps the order, so the server has got
// both. The window slides past it; at detect_within from its write a planned re-dial gives its owner a session to send it again
// in, as MQTT 3.1.1 allows that on a new connection only [MQTT-4.4.0-1]. What was acknowledged behind it is done with.

const (
	missingMost = 32               // that the window slides past; another one keeps its slot
	givenUpMost = 256              // that wait for nothing but a late PUBACK
	missingSaid = 20 * time.Second // after its write Why names it; half of detect_within, where that is shorter
	missingMay  = 2 * time.Second  // that a server may acknowledge in another order, unless it took longer before; or a quarter

	// as many publishes that were acknowledged on a session make the next one worth its handshake
	missingWorth = 8
)

// waiting is one packet of ours that wants an acknowledgement, from its write on.
type waiting struct {
	order  uint64    // of writing, from 1 on; 0: it is not written, or wants none
	since  time.Time // when it was written
	passed time.Time // when one that was written later was acknowledged; zero: none was
	said   bool      // it was counted as missing
	gone   bool      // its Ack is done
}

// request is an unanswered SUBSCRIBE or UNSUBSCRIBE.
type request struct {
	waiting
	filters int // of a SUBSCRIBE, or noFilters
}

// behind is what a window knows of packets that are written; guarded by its mu.
type behind struct {
	written uint64
	open    int // wait for their acknowledgement, and nothing later was acknowledged
	passed  int // publishes that something later passed
	slid    int // of those, without a slot
	most    int // that may be without one; 0: missingMost
	acked   int // of this session
	served  bool
	late    time.Duration // the longest from a write to an acknowledgement that came after that of a later one
}

// begun is called when the write of a packet begins.
func (b *behind) begun(x *waiting, now time.Time) {
	b.written++
	x.order, x.since = b.written, now
	b.open++
}

// ask is begun of a SUBSCRIBE, or of an UNSUBSCRIBE. mu is held.
func (w *window) ask(id uint16, filters int, now time.Time) {
	if r := w.subs[id]; r != nil && r.passed.IsZero() {
		w.behind.open--
	}
	r := &request{filters: filters}
	w.behind.begun(&r.waiting, now)
	w.subs[id] = r
}

// pass is called after a PUBACK for x: what was written before it and is not acknowledged is passed then. A SUBACK passes
// nothing: only PUBACKs have an order. mu is held.
func (w *window) pass(x *waiting, now time.Time) {
	before := w.behind.passed
	for _, a := range w.unacked {
		if a.order >= x.order || !a.written {
			break
		}
		if a.order > 0 && a.passed.IsZero() {
			a.passed = now
			w.behind.open--
			w.behind.passed++
		}
	}
	news := w.behind.passed > before
	for _, r := range w.subs {
		if r.order < x.order && r.passed.IsZero() {
			r.passed, news = now, true
			w.behind.open--
		}
	}
	if news {
		w.slide()
		w.wake()
	}
}

// slide frees the slots of what was passed. mu is held.
func (w *window) slide() {
	most := max(missingMost, w.behind.most)
	for _, a := range w.unacked {
		if w.behind.slid >= most {
			return
		}
		if !a.passed.IsZero() && a.slots != nil && !a.slid {
			a.slid = true
			w.behind.slid++
			<-a.slots
		}
	}
}

// signal tells the owner of the messages that an Ack changed.
func signal(settled chan<- struct{}) {
	select {
	case settled <- struct{}{}:
	default:
	}
}

// missing is what a look at a window found.
type missing struct {
	fresh   int       // packets that were not missing at the look before
	now     int       // that are
	overdue time.Time // when the oldest that somebody sends again waited for detect_within; zero: there is none
	callers bool      // such a one is a caller's
	full    bool      // there is room for no more of them
	worth   bool      // and enough others were acknowledged
	served  bool      // a caller's publish was acknowledged on this session
	next    time.Time // when to look again; zero: when something changes
}

// look finds what is missing at now. What nobody sends again is given up when it is overdue.
func (w *window) look(now time.Time, detectWithin time.Duration) (m missing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.worth, m.served = w.behind.acked >= missingWorth, w.behind.served
	may := min(max(min(missingMay, detectWithin/4), 2*w.behind.late), detectWithin)
	said := min(missingSaid, detectWithin/2)
	settled, givenUp, unsaid := 0, 0, []*waiting(nil)
	consider := func(x *waiting, again bool) (isMissing, overdue bool) {
		mayEnd := x.passed.Add(may)
		dueAt := heartbeat.Later(mayEnd, x.since.Add(detectWithin))
		for _, at := range []time.Time{mayEnd, heartbeat.Later(mayEnd, x.since.Add(said)), dueAt} {
			if at.After(now) && (m.next.IsZero() || at.Before(m.next)) {
				m.next = at
			}
		}
		if !heartbeat.Later(mayEnd, x.since.Add(said)).After(now) {
			if m.now++; !x.said {
				x.said = true
				m.fresh++
			}
		}
		if again && (m.overdue.IsZero() || dueAt.Before(m.overdue)) {
			m.overdue = dueAt
		}
		return !mayEnd.After(now), !dueAt.After(now)
	}
	for _, r := range w.subs {
		if !r.passed.IsZero() {
			consider(&r.waiting, true)
		}
	}
	for _, a := range w.unacked {
		if a.passed.IsZero() {
			continue
		}
		isMissing, overdue := consider(&a.waiting, a.m.use != useOnce)
		if isMissing && a.slid {
			settled++
		}
		if isMissing && !a.said {
			unsaid = append(unsaid, &a.waiting)
		}
		if isMissing && !a.missing.Swap(true) {
			signal(w.settled)
		}
		m.callers = m.callers || overdue && a.m.use == useCaller
		if overdue && a.m.use == useOnce {
			givenUp++
			w.giveUp(a, detectWithin)
		}
	}
	m.full = settled >= missingMost && w.behind.served || givenUp >= givenUpMost
	if m.full { // the session will not live until they are said
		for _, x := range unsaid {
			x.said = true
		}
		m.fresh, m.now = m.fresh+len(unsaid), m.now+len(unsaid)
	}
	return m
}

// giveUp ends a, which nobody sends again; its identifier stays taken on this session, as the PUBACK may still come. mu is held.
func (w *window) giveUp(a *Ack, after time.Duration) {
	if a.gone {
		return
	}
	switch {
	case a.slid:
		w.behind.slid--
		w.slide()
	case a.slots != nil:
		<-a.slots
	}
	a.slots, a.slid = nil, false
	w.end(a, fmt.Errorf("%w: nothing within %v", ErrUnacknowledged, after))
}
