package transport

import (
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport/netdial"
)

// learnStatus is what others may know of the learner. Safe for concurrent use.
type learnStatus struct {
	mu     sync.Mutex
	s      HeartbeatStatus
	echoed map[*netdial.Endpoint]bool // endpoints that carried a probe's own message back
	why    string
}

// publish takes a picture.
func (le *learner) publish(now time.Time) {
	le.status.mu.Lock()
	defer le.status.mu.Unlock()
	s := &le.status.s
	s.Interval, s.Reason, s.Path, s.Kind = le.interval, le.reason, le.path, le.kind.String()
	s.Phase, s.Evidence, s.Open = le.phase(now), le.evidence(), len(le.probes)
	s.Budget = le.budget.Left(now)
	s.Proven, s.Failing, s.Remembered = 0, 0, le.known.Proven
	if le.main == nil && le.On() {
		s.Interval = le.o.Min // where the next session begins
	} else if le.search != nil {
		s.Proven = le.search.Safe()
		s.Failing, _ = le.search.Failing()
	}
	le.status.why = ""
	switch {
	case le.weak != nil && le.why != "":
		le.status.why = "heartbeat: learning is not possible: " + le.why
	case le.failures >= sayFailures && le.main != nil:
		le.status.why = "heartbeat: no probe session can be opened: " + le.unlucky
	}
}

// Status is what is known now, and, for people, why nothing can be learnt; empty: it can.
func (le *learner) Status() (HeartbeatStatus, string) { return le.status.get() }

func (st *learnStatus) get() (HeartbeatStatus, string) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.s, st.why
}

func (st *learnStatus) with(f func(s *HeartbeatStatus)) {
	st.mu.Lock()
	defer st.mu.Unlock()
	f(&st.s)
}

func (st *learnStatus) opened() { st.with(func(s *HeartbeatStatus) { s.Sessions++ }) }

func (st *learnStatus) shrunk() { st.with(func(s *HeartbeatStatus) { s.Shrinks++ }) }

func (st *learnStatus) spent(n int64) { st.with(func(s *HeartbeatStatus) { s.Cost += n }) }

func (st *learnStatus) tested(canary bool) {
	st.with(func(s *HeartbeatStatus) {
		if canary {
			s.Canaries++
		} else {
			s.Probes++
		}
	})
}

func (st *learnStatus) hasEchoed(e *netdial.Endpoint) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.echoed[e]
}

func (st *learnStatus) forgetEcho(e *netdial.Endpoint) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.echoed, e)
}

func (st *learnStatus) setEchoed(e *netdial.Endpoint) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.echoed == nil {
		st.echoed = map[*netdial.Endpoint]bool{}
	}
	st.echoed[e] = true
}
