package transport

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linkbeat/linkbeat/transport/backoff"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// health is the status of a link. Its loop, the session and the session's helpers report what happened: each method changes the
// status, and calls Notify after it released the lock. Safe for concurrent use.
type health struct {
	l         *Link
	pings     atomic.Int64
	ignored   atomic.Int64
	oversized atomic.Int64

	unacknowledged atomic.Int64

	mu       sync.Mutex
	session  *session      // while up
	ready    chan struct{} // closed while up
	status   Status
	trouble  troubles
	takeover *backoff.Takeover
	next     time.Time      // of the next attempt, while down
	failures map[int]string // the last failure of each server
	losses   map[Loss]int64
}

// setState has mu.
func (h *health) setState(state, server string) {
	if h.status.State != state || h.status.Server != server {
		h.status.State, h.status.Server, h.status.Since = state, server, time.Now()
	}
}

func (h *health) notify(kind EventKind, server, why string, session int64, now time.Time) {
	h.l.o.Notify(Event{Kind: kind, At: now, Server: server, Why: why, Session: session})
}

// waiting is called before a pause.
func (h *health) waiting(next int, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.setState(StateDown, h.l.endpoints[next].Name)
	h.next = at
}

// attach is called when s is up: sends may begin.
func (h *health) attach(s *session, now time.Time) {
	h.mu.Lock()
	h.setState(StateUp, s.e.Name)
	h.status.Sessions++
	h.session = s
	h.trouble.down, h.trouble.late = "", ""
	h.trouble.accepted(s.e.Name)
	h.failures = map[int]string{}
	close(h.ready)
	h.mu.Unlock()
	h.l.learner.Up(mainLink{s}, now)
	h.notify(EventUp, s.e.Name, "", s.info.Number, now)
}

// redialed is called after a session ended in favour of the next one: a planned re-dial.
func (h *health) redialed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Redials++
}

// detach is called before the window of s fails, so that a Send that got ErrLost waits for the next session. A second call is
// harmless.
func (h *health) detach(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.session == s {
		h.session, h.ready = nil, make(chan struct{})
		h.status.RTT = 0
	}
}

// ended is called after an attempt failed or a session ended without our doing.
func (h *health) ended(i int, e *netdial.Endpoint, info Session, v faults.Verdict, err error) {
	now, why := time.Now(), fmt.Sprintf("%s: %v", e.Name, err)
	kind := EventDialFailed
	h.mu.Lock()
	wasLate := h.trouble.late != ""
	if v.Up {
		kind = EventDown
		h.status.Drops++
		h.losses[v.Loss]++
		h.takeover.Ended(v.Kind == faults.OutcomeClosed && !wasLate, v.Silence)
	}
	if v.Kind == faults.OutcomeRefused {
		kind = EventRefused
		h.trouble.refusedBy(e.Name, why, now)
	}
	h.trouble.down, h.trouble.late, h.trouble.missing, h.trouble.denied = why, "", "", nil
	repeated := !v.Up && h.failures[i] == why
	h.failures[i] = why
	h.setState(StateDialing, e.Name)
	h.mu.Unlock()
	if !repeated {
		h.notify(kind, e.Name, why, info.Number, now)
	}
	if v.Up {
		h.reportTakeover(e.Name, info.Number, now)
	}
}

// notBack is called after a better server was tried and could not be used. One that refused us is shown in Why until it accepts
// us.
func (h *health) notBack(to int, err error, session int64, now time.Time) {
	f := faults.Of(err, now)
	h.l.backoff.NotBack(now, to)
	if f.Kind != faults.OutcomeRefused {
		return
	}
	h.l.backoff.Refused(now, to)
	e := h.l.endpoints[to]
	why := fmt.Sprintf("%s: %v", e.Name, f)
	h.mu.Lock()
	known := h.failures[to] == why
	h.failures[to] = why
	h.trouble.refusedBy(e.Name, why, now)
	h.mu.Unlock()
	if !known {
		h.notify(EventRefused, e.Name, why, session, now)
	}
}

// reportTakeover reports a takeover, once for each distinct reason.
func (h *health) reportTakeover(server string, session int64, now time.Time) {
	h.mu.Lock()
	why, kind := h.takeover.Why(h.l.o.ClientID, h.l.o.StateTopic), EventKicked
	if h.takeover.Other() {
		kind = EventTakeover
	}
	reported := h.trouble.takeover == why
	h.trouble.takeover = why
	h.mu.Unlock()
	if why != "" && !reported {
		h.notify(kind, server, why, session, now)
	}
}

// sharesID reports that another client was seen to use our id.
func (h *health) sharesID() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.takeover.Other()
}

// announced is called with the birth and the will of a session before it connects.
func (h *health) announced(payloads ...[]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takeover.Announced(payloads...)
}

// stateSeen is called with each payload on the state topic that is not the session's birth; it reports whether another
// client made it.
func (h *health) stateSeen(s *session, st seenState) (foreign bool) {
	h.mu.Lock()
	foreign = h.takeover.Seen(st.payload, st.retained)
	h.mu.Unlock()
	h.reportTakeover(s.e.Name, s.info.Number, time.Now())
	return foreign
}

// stable is called after a session lasted so long that what was held against its server is forgotten.
func (h *health) stable() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takeover.Stable()
	h.trouble.takeover = ""
}

// denied is called after s has asked for subscriptions, with those that the server refused. What was refused before and is not
// asked for again stays refused; what is refused again is not told again.
func (h *health) denied(s *session, asked, refused []string) {
	h.mu.Lock()
	var news, all []string
	for _, f := range h.trouble.denied {
		if !slices.Contains(asked, f) {
			all = append(all, f)
		}
	}
	for _, f := range refused {
		if !slices.Contains(h.trouble.denied, f) {
			news = append(news, f)
		}
	}
	h.trouble.denied = append(all, refused...)
	h.status.Refused += int64(len(news))
	h.mu.Unlock()
	for _, f := range news {
		h.notify(EventSubscribeRefused, s.e.Name, fmt.Sprintf("server refused the subscription to %s", f), s.info.Number,
			time.Now())
	}
}

// isDenied reports whether the server refused the subscription to filter.
func (h *health) isDenied(filter string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.trouble.denied, filter)
}

// late is called when s becomes late, with the time of the first unanswered packet, and with zero when it is late no longer.
func (h *health) late(s *session, asked time.Time) {
	why := ""
	if !asked.IsZero() {
		why = fmt.Sprintf("answer of %s is late since %s: asked again, checking with a fresh connection", s.e.Name,
			asked.UTC().Format(time.TimeOnly))
	}
	h.mu.Lock()
	h.trouble.late = why
	h.mu.Unlock()
	if why != "" {
		h.notify(EventLate, s.e.Name, why, s.info.Number, time.Now())
	}
}

// foreign is called when others publish to probe topics, and learning rests.
func (h *health) foreign(why string) {
	server, session := "", int64(0)
	if s, _ := h.current(); s != nil {
		server, session = s.e.Name, s.info.Number
	}
	h.notify(EventForeign, server, why, session, time.Now())
}

// missing is called with what is to be said of publishes that the server of a session does not acknowledge, so many more; empty:
// nothing is.
func (h *health) missing(why string, fresh int64) {
	h.unacknowledged.Add(fresh)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trouble.missing = why
}

// detected is called after a silent session was given up, with the time since its first unanswered packet.
func (h *health) detected(took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.WorstDetect = max(h.status.WorstDetect, took)
}

// observe is called with the beat's interval and its round trip.
func (h *health) observe(interval, rtt time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Interval, h.status.RTT = interval, rtt
}

// current is the session that takes messages, or nil and a channel that closes when there is one.
func (h *health) current() (*session, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.session, h.ready
}
