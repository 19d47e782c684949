package learn

import (
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport/netdial"
)

// status is what others may know of the learner. Safe for concurrent use.
type status struct {
	mu     sync.Mutex
	s      Status
	echoed map[*netdial.Endpoint]bool // endpoints that carried a probe's own message back
	why    string

	lasting time.Duration // the beat that CONNECT is to fit; 0: none yet
}

// publish takes a picture.
func (le *Learner) publish(now time.Time) {
	le.status.mu.Lock()
	defer le.status.mu.Unlock()
	s := &le.status.s
	s.Interval, s.Reason, s.Path, s.Kind = le.beat.interval, le.beat.reason, le.path, le.kind.String()
	s.Phase, s.Evidence, s.Open = le.phase(now), le.evidence(), len(le.flows.byFlow)
	s.Budget = le.spending.budget.Left(now)
	s.Proven, s.Failing, s.Remembered = 0, 0, le.known.Proven
	if le.main == nil && le.On() {
		s.Interval = le.o.Min // where the next session begins
	} else if le.search != nil {
		s.Proven = le.search.Safe()
		s.Failing, _ = le.search.Failing()
	}
	le.status.why, le.status.lasting = "", 0
	if le.main != nil && !le.pingOnly.on {
		le.status.lasting = le.beat.lasting()
	}
	switch {
	case le.strangers.resting(now):
		le.status.why = le.strangers.text(now)
	case le.pingOnly.on && le.denials.why != "":
		le.status.why = "heartbeat: learning is not possible: " + le.denials.why
	case le.flows.failures >= sayFailures && le.main != nil:
		le.status.why = "heartbeat: no probe session can be opened: " + le.flows.lastError
	default:
		le.status.why = le.strangers.text(now)
	}
}

// Status is what is known now, and, for people, why nothing can be learnt; empty: it can.
func (le *Learner) Status() (Status, string) { return le.status.get() }

func (st *status) get() (Status, string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.s, st.why
}

// beats is the status, and the beat that CONNECT is to fit; 0: none is known.
func (st *status) beats() (Status, time.Duration) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.s, st.lasting
}

func (st *status) with(f func(s *Status)) {
	st.mu.Lock()
	defer st.mu.Unlock()
	f(&st.s)
}

func (st *status) opened() { st.with(func(s *Status) { s.Sessions++ }) }

func (st *status) shrunk() { st.with(func(s *Status) { s.Shrinks++ }) }

func (st *status) spent(n int64) { st.with(func(s *Status) { s.Cost += n }) }

func (st *status) tested(canary bool) {
	st.with(func(s *Status) {
		if canary {
			s.Canaries++
		} else {
			s.Probes++
		}
	})
}

func (st *status) hasEchoed(e *netdial.Endpoint) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.echoed[e]
}

func (st *status) forgetEcho(e *netdial.Endpoint) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.echoed, e)
}

func (st *status) setEchoed(e *netdial.Endpoint) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.echoed == nil {
		st.echoed = map[*netdial.Endpoint]bool{}
	}
	st.echoed[e] = true
}
