package transport

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// What happened to a link, told by its loop, the session and the session's helpers: each method changes the status, and
// notifies after it let the lock go.

// setState has mu.
func (l *Link) setState(state, server string) {
	if l.status.State != state || l.status.Server != server {
		l.status.State, l.status.Server, l.status.Since = state, server, time.Now()
	}
}

func (l *Link) notify(kind EventKind, server, why string, session int64, now time.Time) {
	l.o.Notify(Event{Kind: kind, At: now, Server: server, Why: why, Session: session})
}

// waiting is called before a pause.
func (l *Link) waiting(next int, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setState(StateDown, l.endpoints[next].Name)
	l.next = at
}

// attach is called when s is up: sends may begin.
func (l *Link) attach(s *session, now time.Time) {
	l.mu.Lock()
	l.setState(StateUp, s.e.Name)
	l.status.Sessions++
	l.session = s
	l.trouble.down, l.trouble.late = "", ""
	l.trouble.accepted(s.e.Name)
	l.failures = map[int]string{}
	close(l.ready)
	l.mu.Unlock()
	l.learner.Up(mainLink{s}, now)
	l.notify(EventUp, s.e.Name, "", s.info.Number, now)
}

// moved is called after a session ended because another connection goes on for it.
func (l *Link) moved() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Redials++
}

// detach is called before the flight of s fails, so that a Send that lost waits for the next session. Doing it twice is harmless.
func (l *Link) detach(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.session == s {
		l.session, l.ready = nil, make(chan struct{})
		l.status.RTT = 0
	}
}

// lost is called after an attempt or a session ended, and not by us.
func (l *Link) lost(i int, e *netdial.Endpoint, info Session, v faults.Verdict, err error) {
	now, why := time.Now(), fmt.Sprintf("%s: %v", e.Name, err)
	kind := EventDialFailed
	l.mu.Lock()
	wasLate := l.trouble.late != ""
	if v.Up {
		kind = EventDown
		l.status.Drops++
		l.losses[v.Loss]++
		l.takeover.Ended(v.Kind == faults.OutcomeClosed && !wasLate)
	}
	if v.Kind == faults.OutcomeRefused {
		kind = EventRefused
		l.trouble.refusedBy(e.Name, why, now)
	}
	l.trouble.down, l.trouble.late, l.trouble.denied = why, "", nil
	repeated := !v.Up && l.failures[i] == why
	l.failures[i] = why
	l.setState(StateDialing, e.Name)
	l.mu.Unlock()
	if !repeated {
		l.notify(kind, e.Name, why, info.Number, now)
	}
	if v.Up {
		l.judgeTakeover(e.Name, info.Number, now)
	}
}

// unfit is called after a better server turned out not to be back. One that refuses us says so, and waits for a person.
func (l *Link) unfit(to int, err error, session int64, now time.Time) {
	f := faults.Of(err, now)
	l.backoff.NotBack(now, to)
	if f.Kind != faults.OutcomeRefused {
		return
	}
	l.backoff.Refused(now, to)
	e := l.endpoints[to]
	why := fmt.Sprintf("%s: %v", e.Name, f)
	l.mu.Lock()
	known := l.failures[to] == why
	l.failures[to] = why
	l.trouble.refusedBy(e.Name, why, now)
	l.mu.Unlock()
	if !known {
		l.notify(EventRefused, e.Name, why, session, now)
	}
}

// judgeTakeover tells of a takeover when its sentence is a new one.
func (l *Link) judgeTakeover(server string, session int64, now time.Time) {
	l.mu.Lock()
	why := l.takeover.Why(l.o.ClientID, l.o.StateTopic)
	told := l.trouble.takeover == why
	l.trouble.takeover = why
	l.mu.Unlock()
	if why != "" && !told {
		l.notify(EventTakeover, server, why, session, now)
	}
}

// announced is called with the birth and the will of a session before it connects.
func (l *Link) announced(payloads ...[]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takeover.Announced(payloads...)
}

// stateSeen is called with each payload on the state topic that is not the session's birth; it reports whether another
// client made it.
func (l *Link) stateSeen(s *session, st seenState) (foreign bool) {
	l.mu.Lock()
	foreign = l.takeover.Seen(st.payload, st.retained)
	l.mu.Unlock()
	l.judgeTakeover(s.e.Name, s.info.Number, time.Now())
	return foreign
}

// stable is called after a session lasted as long as its server needs to be forgiven.
func (l *Link) stable() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.takeover.Stable()
	l.trouble.takeover = ""
}

// denied is called after the subscriptions of s were answered.
func (l *Link) denied(s *session, filters []string) {
	l.mu.Lock()
	l.trouble.denied = filters
	l.status.Refused += int64(len(filters))
	l.mu.Unlock()
	for _, f := range filters {
		l.notify(EventSubscribeRefused, s.e.Name, fmt.Sprintf("server refused the subscription to %s", f), s.info.Number, time.Now())
	}
}

// late is called when s becomes late, with the time of the first unanswered packet, and with zero when it is no longer.
func (l *Link) late(s *session, asked time.Time) {
	why := ""
	if !asked.IsZero() {
		why = fmt.Sprintf("answer of %s is late since %s: asked again, checking with a fresh connection", s.e.Name, asked.UTC().Format(time.TimeOnly))
	}
	l.mu.Lock()
	l.trouble.late = why
	l.mu.Unlock()
	if why != "" {
		l.notify(EventLate, s.e.Name, why, s.info.Number, time.Now())
	}
}

// detected is called after a silent session was given up, with the time since its first unanswered packet.
func (l *Link) detected(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.WorstDetect = max(l.status.WorstDetect, took)
}

// observe notes what the beat knows.
func (l *Link) observe(interval, rtt time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.Interval, l.status.RTT = interval, rtt
}
