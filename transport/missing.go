package transport

import "time"

// A server that throttles acknowledges some publishes, and never acknowledges others (aws-iot-device-sdk-python-v2#257: one in
// twenty). A publish is missing when one that was written after it was acknowledged: TCP keeps the order, so the server has got
// both. The window slides past it; at detect_within from its write a planned re-dial gives its owner a session to send it again
// in, as MQTT 3.1.1 allows that on a new connection only [MQTT-4.4.0-1]. What was acknowledged behind it is done with.

const (
	missingMost = 32               // that the window slides past; another one keeps its slot
	givenUpMost = 256              // that wait for nothing but a late PUBACK
	missingSaid = 20 * time.Second // after its write Why names it; half of detect_within, where that is shorter
	missingMay  = 2 * time.Second  // that a server may acknowledge in another order; longer, if it did; or a quarter

	// as many publishes that were acknowledged on a session make the next one worth its handshake
	missingWorth = 8
)

// waiting is one packet of ours that wants an acknowledgement, from its write on. Times count from the first write of all.
type waiting struct {
	order  uint64        // of writing, from 1 on; 0: it is not written, or wants none
	since  time.Duration // when it was written
	passed time.Duration // when one that was written later was acknowledged; 0: none was
	said   bool          // it was counted as missing
	gone   bool          // its Ack is done
}

// request is an unanswered SUBSCRIBE or UNSUBSCRIBE.
type request struct {
	waiting
	filters int // of a SUBSCRIBE, or noFilters
}

// behind is what a window knows of packets that are written; guarded by its mu.
type behind struct {
	first   time.Time     // write
	written uint64        // so many
	open    int           // wait for their acknowledgement, and nothing later was acknowledged
	passed  int           // publishes that something later passed
	slid    int           // of those, without a slot
	most    int           // that may be without one
	acked   int           // of this session
	served  bool          // one of a caller's was
	late    time.Duration // the longest from a write to an acknowledgement that came after that of a later one
}

// at is now as waiting has it.
func (b *behind) at(now time.Time) time.Duration { return now.Sub(b.first) + 1 }

// begun is called when the write of a packet begins.
func (b *behind) begun(x *waiting, now time.Time) {
	if b.first.IsZero() {
		b.first = now
	}
	b.written++
	x.order, x.since = b.written, b.at(now)
	b.open++
}

// ask is begun of a SUBSCRIBE, or of an UNSUBSCRIBE. mu is held.
func (w *window) ask(id uint16, filters int, now time.Time) {
	if r := w.subs[id]; r != nil && r.passed == 0 {
		w.behind.open--
	}
	r := &request{filters: filters}
	w.behind.begun(&r.waiting, now)
	w.subs[id] = r
}

// pass is called after a PUBACK for x: what was written before it and is not acknowledged is passed then. A SUBACK passes
// nothing: only PUBACKs have an order. mu is held.
func (w *window) pass(x *waiting, now time.Time) {
	at, before := w.behind.at(now), w.behind.open
	for _, a := range w.unacked {
		if a.order >= x.order || !a.written {
			break
		}
		if a.order > 0 && a.passed == 0 {
			a.passed = at
			w.behind.passed++
			w.behind.open--
		}
	}
	for _, r := range w.subs {
		if r.order < x.order && r.passed == 0 {
			r.passed = at
			w.behind.open--
		}
	}
	if w.behind.open < before {
		w.slide()
		w.wake()
	}
}

// slide frees the slots of what was passed. mu is held.
func (w *window) slide() {
	for _, a := range w.unacked {
		if w.behind.slid >= w.behind.most {
			return
		}
		if a.passed > 0 && a.slots != nil && !a.slid {
			a.slid = true
			w.behind.slid++
			<-a.slots
		}
	}
}

// free gives back what a takes up. mu is held.
func (w *window) free(a *Ack) {
	switch {
	case a.slid:
		w.behind.slid--
		w.slide()
	case a.slots != nil:
		<-a.slots
	}
	a.slots, a.slid = nil, false
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
	fresh   int           // packets that were not missing at the look before
	now     int           // that are
	again   bool          // somebody sends some of them again
	left    time.Duration // with again: until the oldest of those has waited for detect_within
	callers bool          // one that has is a caller's
	full    bool          // there is room for no more of them
	next    time.Duration // until the next look; 0: when something changes

	acked  int           // packets, on this session
	served bool          // a caller's publish was among them
	owed   time.Duration // since when nothing of what is owed was acknowledged; 0: nothing is owed
}

// until brings the next look forward.
func (m *missing) until(left time.Duration) {
	if left > 0 && (m.next == 0 || left < m.next) {
		m.next = left
	}
}

// waits are how long a session waits for acknowledgements.
type waits struct {
	may   time.Duration // in another order
	said  time.Duration // until Why says that it is missing
	overs time.Duration // detect_within
}

func waitsOf(detectWithin time.Duration) waits {
	return waits{may: min(missingMay, detectWithin/4), said: min(missingSaid, detectWithin/2), overs: detectWithin}
}

// see looks at one packet that was passed, at now. Waited for too long, it is over.
func (m *missing) see(x *waiting, p waits, now time.Duration, again bool) (missing, over bool) {
	may := x.passed + p.may - now
	said, due := max(may, x.since+p.said-now), max(may, x.since+p.overs-now)
	m.until(may)
	m.until(said)
	m.until(due)
	if said <= 0 {
		m.say(x)
	}
	if again && (!m.again || due < m.left) {
		m.again, m.left = true, due
	}
	return may <= 0, due <= 0
}

// say counts x.
func (m *missing) say(x *waiting) {
	if m.now++; !x.said {
		x.said = true
		m.fresh++
	}
}

// look finds what is missing at now. What nobody sends again is given up when it is overdue.
func (w *window) look(t time.Time, p waits) (m missing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.acked, m.served = w.behind.acked, w.behind.served
	if !w.waitingSince.IsZero() {
		m.owed = t.Sub(w.waitingSince)
	}
	now, slid, givenUp := w.behind.at(t), 0, 0
	p.may = min(max(p.may, 2*w.behind.late), p.overs)
	for _, r := range w.subs {
		if r.passed > 0 {
			m.see(&r.waiting, p, now, true)
		}
	}
	for _, a := range w.unacked {
		if a.passed == 0 {
			continue
		}
		missing, over := m.see(&a.waiting, p, now, a.m.use != useOnce)
		if missing && a.slid {
			slid++
		}
		if missing && !a.missing.Swap(true) {
			signal(w.settled)
		}
		m.callers = m.callers || over && a.m.use == useCaller
		if over && a.m.use == useOnce { // its identifier stays taken: the PUBACK may still come
			givenUp++
			w.free(a)
			w.end(a, ErrUnacknowledged)
		}
	}
	if m.full = slid >= missingMost && m.served || givenUp >= givenUpMost; m.full {
		for _, a := range w.unacked { // the session will not live until they are said
			if a.Missing() && !a.said {
				m.say(&a.waiting)
			}
		}
	}
	return m
}
