package transport

import (
	"bytes"
	"time"
)

// stateSeen is called with what came in on the state topic. What was retained before our birth is history; anything else than
// our birth overwrote it, until our birth is seen again: the late will of an older session of ours, or another client with our
// id.
func (s *session) stateSeen(st seenState, now time.Time) {
	if s.preparing || s.next != nil { // it may be the next one's
		return
	}
	if bytes.Equal(st.payload, s.birth) {
		s.announceAt = time.Time{}
		return
	}
	if s.l.stateSeen(s, st) {
		s.calmSince, s.isStable = now, false
	}
	if st.retained || !s.announceAt.IsZero() {
		return
	}
	s.announceAt = now
	if !s.isUp || s.announceGap > announceMin { // our birth is on its way, or it was announced again already
		s.announceAt = now.Add(s.announceGap)
	}
}

// announce publishes the birth again; never more often than announceMin, and less and less often while it does not last.
func (s *session) announce(now time.Time) {
	s.announceAt = time.Time{}
	s.announceGap = min(2*s.announceGap, announceMax)
	s.l.group.Go(func() { _, _ = s.flight.send(s.ctx, s.stateMessage(s.birth)) })
	s.l.notify(EventAnnounced, s.e.Name, "our state was overwritten on "+s.l.o.StateTopic, s.info.Number, now)
}
