package heartbeat

import "time"

// simulated is a path with one limit, and what a Search made of it.
type simulated struct {
	s       *Search
	now     time.Time
	limit   time.Duration
	dials   int
	tests   int
	events  []simEvent
	history []reached
}

type reached struct {
	after time.Duration
	safe  time.Duration
}

const (
	simOpen  = 500 * time.Millisecond
	simRTT   = 100 * time.Millisecond
	simLate  = 2 * time.Second
	simRearm = 300 * time.Millisecond
	simTimer = 3 * time.Millisecond // that a real timer is late
)

type simEvent struct {
	at time.Time
	do func()
}

// simulate plays a path that forgets a flow after limit, with the delays of a real one, for a while.
func simulate(o SearchOptions, limit time.Duration, k Knowledge, until time.Duration) *simulated {
	start := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	m := &simulated{s: NewSearch(o), now: start, limit: limit}
	m.s.PathChanged(start, k)
	for m.now.Sub(start) < until {
		for _, order := range m.s.Next(m.now) {
			m.carryOut(order)
		}
		if safe := m.s.Safe(); len(m.history) == 0 || m.history[len(m.history)-1].safe != safe {
			m.history = append(m.history, reached{m.now.Sub(start), safe})
		}
		if !m.advance() {
			break
		}
	}
	return m
}

func (m *simulated) at(d time.Duration, do func()) {
	m.events = append(m.events, simEvent{m.now.Add(d), do})
}

func (m *simulated) carryOut(order Order) {
	id := order.Flow
	switch order.Verb {
	case Open:
		m.dials++
		m.at(simOpen, func() { m.s.Armed(id, m.now) })
	case Test:
		m.tests++
		gap := m.s.flow(id).gap
		if gap > m.limit {
			m.at(simLate, func() { m.s.Lost(id, gap, Evidence{MainAlive: true, SamePath: true}) })
			return
		}
		m.at(simRTT, func() {
			m.s.Delivered(id, gap, m.now)
			m.at(simRearm, func() { m.s.Armed(id, m.now) })
		})
	}
}

// advance goes on to the next event or the search's next wake, whichever is first; false: there is none.
func (m *simulated) advance() bool {
	next := m.s.Wake(m.now)
	first := -1
	for i, e := range m.events {
		if (next.IsZero() || !e.at.After(next)) && (first < 0 || e.at.Before(m.events[first].at)) {
			first = i
		}
	}
	if first >= 0 {
		e := m.events[first]
		m.events = append(m.events[:first], m.events[first+1:]...)
		m.now = e.at
		e.do()
		return true
	}
	m.now = Later(next, m.now).Add(simTimer)
	return !next.IsZero()
}

// until is when Safe first reached part of the limit, in limits; 99: never.
func (m *simulated) until(part float64, limit time.Duration) float64 {
	for _, h := range m.history {
		if float64(h.safe) >= part*float64(limit) {
			return float64(h.after) / float64(limit)
		}
	}
	return 99
}
