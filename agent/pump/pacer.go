package pump

import "time"

// A backlog after an outage goes out paced: ten thousand gateways that come back together must not flood their brokers, nor what
// they read before starve what they read now.
const (
	paceSpread = 60 * time.Second // a backlog waits random 0 to this
	paceMost   = 16 << 10         // bytes a second
	paceLeast  = 1 << 10
	paceExtra  = 200 // bytes of topic, envelope and headers, about
)

// pacer says when the next old record may go. Owned by the pump's loop; pure: now comes in.
type pacer struct {
	fixed int64 // bytes a second; 0: as the path carries

	from   time.Time // no backlog before
	spent  time.Time // up to then the rate is used up
	rate   func() int64
	spread func() float64 // [0, 1)
}

// connected is called with each new session; lost is when the one before ended, zero: there was none.
func (p *pacer) connected(lost, now time.Time) {
	p.from = now
	if lost.IsZero() || now.Sub(lost) > lateAfter {
		p.from = now.Add(time.Duration(p.spread() * float64(paceSpread)))
	}
}

// may tells whether a record of the backlog, stored then, may go at now, and otherwise when. One that may is booked, unless it is
// not late.
func (p *pacer) may(stored time.Time, size int, now time.Time) (ok bool, at time.Time) {
	if p == nil || now.Sub(stored) <= lateAfter {
		return true, time.Time{}
	}
	at = p.from
	if p.spent.After(at) {
		at = p.spent
	}
	if now.Before(at) {
		return false, at
	}
	took := time.Duration(float64(size+paceExtra) / float64(p.bytes()) * float64(time.Second))
	if p.spent.Before(now) {
		p.spent = now
	}
	p.spent = p.spent.Add(took)
	return true, time.Time{}
}

// bytes is the rate now.
func (p *pacer) bytes() int64 {
	if p.fixed > 0 {
		return p.fixed
	}
	if seen := p.rate(); seen > 0 {
		return min(max(seen/2, paceLeast), paceMost)
	}
	return paceMost
}
