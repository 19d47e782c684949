package learn

import (
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	oneTest      = 1 << 10 // nonce, answer, ping, and the end of the session
	restSessions = 4       // that a pause saves for
	recordTLS    = 22      // bytes around a packet, of TLS 1.3
)

// nonceCost is what the main link pays for one nonce: PUBLISH, PUBACK and their acknowledgements.
func nonceCost(topic string, secure bool) int64 {
	n := int64(2+2+len(topic)+2+16) + 4 + 4*netdial.Headers4
	if secure {
		n += 2 * recordTLS
	}
	return n
}

// spending is what learning has cost and may still cost; on the learner's loop.
type spending struct {
	le      *Learner
	budget  *heartbeat.Budget
	price   int64 // of a session, as far as measured, in bytes; 0: it was not
	resting bool  // until rested: only canaries, as the budget does not pay for more
	rested  time.Time
}

// book records what the open sessions have cost since the last call.
func (m *spending) book(now time.Time) {
	m.budget.Spend(m.le.Charged.Swap(0), now)
	m.le.pair.book()
	for _, p := range m.le.flows.byFlow {
		if p.conn != nil {
			m.bookOne(p, p.conn.s.Raw.Cost(), now)
		}
	}
}

func (m *spending) bookOne(p *probe, cost int64, now time.Time) {
	n := cost - p.spent
	if n <= 0 {
		return
	}
	p.spent = cost
	m.le.status.spent(n)
	if !p.canary {
		m.budget.Spend(n, now)
	}
}

// estimate is what one more session may cost.
func (m *spending) estimate() int64 {
	switch {
	case m.price > 0:
		return m.price
	case m.le.env.Secure:
		return heartbeat.TLSSession
	}
	return heartbeat.PlainSession
}

// affordable is when one more session may be opened, so that all that are open, or about to be, can still be used; zero: never.
func (m *spending) affordable(now time.Time) time.Time {
	need := m.estimate()
	for _, p := range m.le.flows.byFlow {
		if !p.canary {
			need += oneTest + max(0, m.estimate()-oneTest-p.spent)
		}
	}
	return m.budget.Affords(need, now)
}

// rest pauses the search until the budget pays for several sessions: a search that had to stop again at once would waste it.
func (m *spending) rest(now time.Time) {
	enough := max(m.estimate(), min(restSessions*m.estimate(), m.le.o.Budget.Burst))
	until := m.budget.Affords(enough, now)
	if until.IsZero() {
		until = now.Add(deniedFor)
	}
	m.resting, m.rested = true, until
	m.le.search.Rest(true)
}

// save stores what is left of the budget.
func (m *spending) save() {
	if m.le.o.Memory != nil {
		m.le.o.Memory.SaveBudget(m.budget.State())
	}
}
