package transport

import (
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
)

const (
	stableAfter   = time.Minute            // a session this long forgets what was held against its server
	kickFactor    = 3                      // accept-then-kick: min × 3ⁿ × rand(½, 1)
	kickMax       = 10 * time.Minute       // and never longer
	restartWindow = time.Minute            // after a server closed a stable session: it restarts, or its whole fleet was moved
	restartSpread = 20 * time.Second       // every attempt in this window is uniform in 0 to this
	minPause      = 100 * time.Millisecond // but never a tight loop, whatever was drawn
	jitterFactor  = 3                      // decorrelated jitter: rand(min, 3 × last), up to max
)

// backoff decides which server is dialled next, and when. It is pure: now comes in, a server and a time go out. Each server
// has its own waiting time, so another server is dialled at once, and waiting begins when the round is finished.
//
//	silence, refused TCP      decorrelated jitter up to max; at once when an idle session fell silent
//	closed before stable      min × 3ⁿ × rand(½, 1) up to 10 m; n is forgotten only after a stable session
//	stable session closed     every attempt of the first minute uniform in 0 to 20 s
//	refused                   the time of the options, exactly
//	mapping lost              the same server at once, as it just answered; jitter when that happens again too soon
//
// A server that failed also rests, for longer each time: while another one can be had, it is not dialled, and not returned to.
type backoff struct {
	limits Backoff
	rand   func() float64
	hosts  []host
	ranks  []int         // of hosts, never falling
	rest   time.Duration // the first one
}

// host is what is held against one server.
type host struct {
	notBefore time.Time
	last      time.Duration // of the decorrelated jitter
	kicks     int
	lost      bool      // its mapping was lost, and no stable session since
	restart   time.Time // until then it is thought to restart
	silent    bool      // notBefore is due to silence: a changed route may end it
	rests     int       // since the last stable session
	rested    time.Time // until then it rests
}

const (
	restFactor = 2
	restMax    = 10 * time.Minute
	restLeast  = 10 * time.Second
)

// newBackoff is for servers in order of preference; ranks says which of them are equal.
func newBackoff(limits Backoff, ranks []int, detectWithin time.Duration, rand func() float64) *backoff {
	return &backoff{limits: limits, rand: rand, hosts: make([]host, len(ranks)), ranks: ranks, rest: max(detectWithin/2, restLeast)}
}

// failed is called after server i ended with v; it returns which server to dial next, and when.
func (b *backoff) failed(now time.Time, i int, v faults.Verdict) (next int, at time.Time) {
	h := &b.hosts[i]
	if v.Loss == faults.LossAddress { // which is not the server's fault
		return i, now
	}
	stable := v.Up && v.Lasted >= h.stable()
	if stable {
		*h = host{}
	}
	restarting := now.Before(h.restart)
	wait := b.wait(now, h, v, stable)
	if restarting && (v.Kind == faults.OutcomeSilence || v.Kind == faults.OutcomeClosed) {
		h.last = 0
		spread := b.spread()
		if v.Kind == faults.OutcomeSilence || spread > wait {
			wait = spread
		}
	}
	h.notBefore, h.silent = now.Add(wait), v.Kind == faults.OutcomeSilence
	if v.Kind != faults.OutcomeLost && v.Kind != faults.OutcomeStopped {
		b.laid(now, h)
	}
	return b.next(now, i)
}

// laid lets a server rest.
func (b *backoff) laid(now time.Time, h *host) {
	d := b.rest
	for n := 0; n < h.rests && d < restMax; n++ {
		d *= restFactor
	}
	h.rests++
	h.rested = now.Add(min(d, restMax))
}

// better is the server that would be preferred to i, and from when on it may be asked whether it is back; false: there is none.
func (b *backoff) better(i int) (j int, at time.Time, ok bool) {
	for k := range i {
		h := &b.hosts[k]
		due := h.rested
		if h.notBefore.After(due) {
			due = h.notBefore
		}
		if b.ranks[k] < b.ranks[i] && (!ok || due.Before(at)) {
			j, at, ok = k, due, true
		}
	}
	return j, at, ok
}

// unfit is called after a better server turned out not to be back.
func (b *backoff) unfit(now time.Time, j int) { b.laid(now, &b.hosts[j]) }

// refused is called after a better server was asked whether it is back, and refused us.
func (b *backoff) refused(now time.Time, j int) { b.hosts[j].notBefore = now.Add(b.limits.Refused) }

// stableAfter is how long a session at server i must last until what was held against it is forgotten.
func (b *backoff) stableAfter(i int) time.Duration { return b.hosts[i].stable() }

// stable is how long a session must last until the past is forgotten: longer the more often it was kicked, since the other
// side of a takeover backs off as well and lets us live longer each time.
func (h *host) stable() time.Duration {
	d := stableAfter
	for n := 0; n < h.kicks && d < 3*kickMax; n++ {
		d *= kickFactor
	}
	return min(d, 3*kickMax)
}

func (b *backoff) wait(now time.Time, h *host, v faults.Verdict, stable bool) time.Duration {
	switch {
	case v.Kind == faults.OutcomeRefused:
		return b.limits.Refused
	case v.Kind == faults.OutcomeNonsense, v.Kind == faults.OutcomeClosed && !stable:
		h.kicks++
		return time.Duration(float64(b.kickBase(h.kicks-1)) * (0.5 + b.rand()/2))
	case v.Kind == faults.OutcomeClosed:
		h.restart = now.Add(restartWindow)
		return b.spread()
	case v.Kind == faults.OutcomeLost && !h.lost:
		h.lost = true
		return 0
	case v.Kind == faults.OutcomeSilence && v.Up && v.Idle, v.Kind == faults.OutcomeStopped:
		return 0
	}
	return b.jitter(h)
}

// kickBase is min × 3ⁿ, at most kickMax.
func (b *backoff) kickBase(n int) time.Duration {
	d := b.limits.Min
	for ; n > 0 && d < kickMax; n-- {
		d *= kickFactor
	}
	return min(d, kickMax)
}

// jitter is the decorrelated one: it grows with what was drawn last, not with a count.
func (b *backoff) jitter(h *host) time.Duration {
	high := max(b.limits.Min, jitterFactor*max(h.last, b.limits.Min))
	h.last = min(b.uniform(b.limits.Min, high), b.limits.Max)
	return h.last
}

func (b *backoff) spread() time.Duration { return max(minPause, b.uniform(0, restartSpread)) }

func (b *backoff) uniform(low, high time.Duration) time.Duration {
	return low + time.Duration(b.rand()*float64(high-low))
}

// next picks a server that may be dialled now, in order of preference but the last one only if there is no other, and one that
// rests only if all do; or else the one that may be dialled first.
func (b *backoff) next(now time.Time, last int) (int, time.Time) {
	best := 0
	for i := range b.hosts {
		if h := &b.hosts[i]; i != last && !h.notBefore.After(now) && !h.rested.After(now) {
			return i, now
		}
	}
	for i := range b.hosts {
		if i != last && !b.hosts[i].notBefore.After(now) {
			return i, now
		}
		if b.hosts[i].notBefore.Before(b.hosts[best].notBefore) {
			best = i
		}
	}
	if at := b.hosts[best].notBefore; at.After(now) {
		return best, at
	}
	return last, now
}

// routed is called after the routes of the machine changed: silence may have ended.
func (b *backoff) routed(now time.Time, last int) (int, time.Time) {
	for i := range b.hosts {
		if h := &b.hosts[i]; h.silent && !now.Before(h.restart) {
			h.notBefore = now
		}
	}
	return b.next(now, last)
}

// forgiven is called when a person says that things have changed: each server may be dialled at once, the preferred one first.
// What was held against them counts again if it goes on.
func (b *backoff) forgiven(now time.Time) (int, time.Time) {
	for i := range b.hosts {
		b.hosts[i].notBefore, b.hosts[i].rested = now, now
	}
	return 0, now
}

// Backoff bounds the waiting; see backoff.go for the rules.
type Backoff struct {
	Min     time.Duration // if zero, 1 s
	Max     time.Duration // of the jitter after silence; if zero, 2 m
	Refused time.Duration // after wrong credentials or a wrong certificate; if zero, 15 m
}
