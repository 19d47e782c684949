// Package backoff decides whom a link dials next, and when, and recognises another client with its id. Pure: verdicts and the
// time come in, servers and times go out; it dials nothing, reads no clock and knows no link.
package backoff

import (
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
)

// StableAfter is how long a session must last until what was held against its server is forgotten; longer after accept-then-kick.
const StableAfter = time.Minute

const (
	kickFactor    = 3                      // accept-then-kick: min × 3ⁿ × rand(½, 1)
	kickMax       = 10 * time.Minute       // and never longer
	restartWindow = time.Minute            // after a server closed a stable session: it restarts, or its whole fleet was moved
	restartSpread = 20 * time.Second       // every attempt in this window is uniform in 0 to this
	minPause      = 100 * time.Millisecond // but never a tight loop, whatever was drawn
	jitterFactor  = 3                      // decorrelated jitter: rand(min, 3 × last), up to max
)

// Limits bound the waiting; see Schedule for the rules.
type Limits struct {
	Min     time.Duration // if zero, a Link takes 1 s
	Max     time.Duration // of the jitter after silence; if zero, a Link takes 2 m
	Refused time.Duration // after wrong credentials or a wrong certificate; if zero, a Link takes 15 m
}

// Schedule decides which server is dialled next, and when. It is pure: now comes in, a server and a time go out. Each server
// has its own waiting time, so another server is dialled at once, and waiting begins when the round is finished.
//
//	silence, refused TCP      decorrelated jitter up to max; at once when an idle session fell silent
//	closed before stable      min × 3ⁿ × rand(½, 1) up to 10 m; n is forgotten only after a stable session
//	stable session closed     every attempt of the first minute uniform in 0 to 20 s
//	refused                   the time of the options, exactly
//	mapping lost              the same server at once, as it just answered; jitter when that happens again too soon
//
// A server that failed also cools down, for longer each time: while another one can be dialled, it is neither dialled nor
// returned to.
type Schedule struct {
	limits Limits
	rand   func() float64
	hosts  []host
	ranks  []int         // of hosts, never falling
	first  time.Duration // cooldown of a server that failed
}

// host is what is held against one server.
type host struct {
	notBefore   time.Time
	last        time.Duration // of the decorrelated jitter
	kicks       int
	mappingLost bool      // its mapping was lost, and no stable session since
	restart     time.Time // until then it is thought to restart
	silent      bool      // notBefore is due to silence: a changed route may end it
	cooldowns   int       // since the last stable session
	coolUntil   time.Time // until then it is dialled only where no other is left
}

const (
	cooldownFactor = 2
	cooldownLeast  = 10 * time.Second
)

// New is for servers in order of preference; ranks says which of them are equal.
func New(limits Limits, ranks []int, detectWithin time.Duration, rand func() float64) *Schedule {
	first := max(detectWithin/2, cooldownLeast)
	return &Schedule{limits: limits, rand: rand, hosts: make([]host, len(ranks)), ranks: ranks, first: first}
}

// Failed is called after server i ended with v; it returns which server to dial next, and when.
func (b *Schedule) Failed(now time.Time, i int, v faults.Verdict) (next int, at time.Time) {
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
	if v.Kind != faults.OutcomeMappingLost && v.Kind != faults.OutcomeStopped {
		b.cool(now, h)
	}
	return b.next(now, i)
}

// cool starts the cooldown of a server.
func (b *Schedule) cool(now time.Time, h *host) {
	d := b.first
	for n := 0; n < h.cooldowns && d < faults.CooldownMax; n++ {
		d *= cooldownFactor
	}
	h.cooldowns++
	h.coolUntil = now.Add(min(d, faults.CooldownMax))
}

// Better is the server that would be preferred to i, and from when on it may be asked whether it is back; false: there is none.
func (b *Schedule) Better(i int) (j int, at time.Time, ok bool) {
	for k := range i {
		h := &b.hosts[k]
		due := h.coolUntil
		if h.notBefore.After(due) {
			due = h.notBefore
		}
		if b.ranks[k] < b.ranks[i] && (!ok || due.Before(at)) {
			j, at, ok = k, due, true
		}
	}
	return j, at, ok
}

// NotBack is called after a better server turned out not to be back.
func (b *Schedule) NotBack(now time.Time, j int) { b.cool(now, &b.hosts[j]) }

// Refused is called after a better server was asked whether it is back, and refused us.
func (b *Schedule) Refused(now time.Time, j int) { b.hosts[j].notBefore = now.Add(b.limits.Refused) }

// StableAfter is how long a session at server i must last until what was held against it is forgotten.
func (b *Schedule) StableAfter(i int) time.Duration { return b.hosts[i].stable() }

// stable is how long a session must last until the past is forgotten: longer the more often it was kicked, since the other
// side of a takeover backs off as well and lets us live longer each time.
func (h *host) stable() time.Duration {
	d := StableAfter
	for n := 0; n < h.kicks && d < 3*kickMax; n++ {
		d *= kickFactor
	}
	return min(d, 3*kickMax)
}

func (b *Schedule) wait(now time.Time, h *host, v faults.Verdict, stable bool) time.Duration {
	switch {
	case v.Kind == faults.OutcomeRefused:
		return b.limits.Refused
	case v.Kind == faults.OutcomeNonsense, v.Kind == faults.OutcomeClosed && !stable:
		h.kicks++
		return time.Duration(float64(b.kickBase(h.kicks-1)) * (0.5 + b.rand()/2))
	case v.Kind == faults.OutcomeClosed:
		h.restart = now.Add(restartWindow)
		return b.spread()
	case v.Kind == faults.OutcomeMappingLost && !h.mappingLost:
		h.mappingLost = true
		return 0
	case v.Kind == faults.OutcomeSilence && v.Up && v.Idle, v.Kind == faults.OutcomeStopped:
		return 0
	}
	return b.jitter(h)
}

// kickBase is min × 3ⁿ, at most kickMax.
func (b *Schedule) kickBase(n int) time.Duration {
	d := b.limits.Min
	for ; n > 0 && d < kickMax; n-- {
		d *= kickFactor
	}
	return min(d, kickMax)
}

// jitter is the decorrelated one: it grows with what was drawn last, not with a count.
func (b *Schedule) jitter(h *host) time.Duration {
	high := max(b.limits.Min, jitterFactor*max(h.last, b.limits.Min))
	h.last = min(b.uniform(b.limits.Min, high), b.limits.Max)
	return h.last
}

func (b *Schedule) spread() time.Duration { return max(minPause, b.uniform(0, restartSpread)) }

func (b *Schedule) uniform(low, high time.Duration) time.Duration {
	return low + time.Duration(b.rand()*float64(high-low))
}

// next returns the most preferred server that may be dialled now. One that cools down is taken only if all do, and the last one
// only if there is no other. When none may be dialled, it returns the one that may be dialled first.
func (b *Schedule) next(now time.Time, last int) (int, time.Time) {
	best := 0
	for i := range b.hosts {
		if h := &b.hosts[i]; i != last && !h.notBefore.After(now) && !h.coolUntil.After(now) {
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

// Routed is called after the routes of the machine changed: servers that were silent may answer now.
func (b *Schedule) Routed(now time.Time, last int) (int, time.Time) {
	for i := range b.hosts {
		if h := &b.hosts[i]; h.silent && !now.Before(h.restart) {
			h.notBefore = now
		}
	}
	return b.next(now, last)
}

// Reset is called when a person says that things have changed: each server may be dialled at once, the preferred one first. What
// is held against them stays, and counts when they fail again.
func (b *Schedule) Reset(now time.Time) (int, time.Time) {
	for i := range b.hosts {
		b.hosts[i].notBefore, b.hosts[i].coolUntil = now, now
	}
	return 0, now
}
