package learn

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// How an epoch of a path begins and ends.

// Up is called with each session that is up.
func (le *Learner) Up(s MainLink, now time.Time) { le.do(func() { le.up(s, now) }) }

// Down is called after a session was lost, not after a planned re-dial.
func (le *Learner) Down(s MainLink, v faults.Verdict) { le.do(func() { le.down(s, v, time.Now()) }) }

// up begins an epoch; a planned session goes on where the last one was.
func (le *Learner) up(s MainLink, now time.Time) {
	le.main, le.asking = s, time.Time{}
	if s.Planned() && le.search != nil && le.path == le.pathOf(s.Endpoint(), s.Path()) {
		s.SetInterval(le.interval)
		return
	}
	k, why := heartbeat.Knowledge{}, "a new connection: nothing is proven on it yet"
	if gap := le.forgot; gap > 0 && le.path == le.pathOf(s.Endpoint(), s.Path()) {
		k = heartbeat.Knowledge{Proven: le.search.Safe(), Failing: gap}
		why = fmt.Sprintf("the path forgot the connection after %v of silence: searched again below", gap.Round(time.Millisecond))
	}
	le.forgot = 0
	le.epoch(s, now, k, why)
}

// epoch begins anew: nothing is proven. What is remembered, or was known of another server, is a hint.
func (le *Learner) epoch(s MainLink, now time.Time, k heartbeat.Knowledge, why string) {
	le.remember(now)
	le.drop()
	hint := le.known
	if le.search != nil && le.search.Knowledge().Known() {
		hint = le.search.Knowledge()
	}
	le.path = le.pathOf(s.Endpoint(), s.Path())
	le.known, le.kind = heartbeat.Knowledge{}, heartbeat.Unknown
	remembered := false
	if le.o.Memory != nil {
		le.known, remembered = le.o.Memory.Recall(le.path)
	}
	if remembered {
		hint, le.kind = le.known, le.known.Kind
	}
	if k.Known() {
		hint = k
	}
	le.search = heartbeat.NewSearch(le.searchOptions(s.Endpoint()))
	le.search.PathChanged(now.Add(le.after(remembered)), hint)
	le.watched, le.paused, le.failures, le.resting, le.quiet, le.asked, le.doubtful, le.pairAlone = now, time.Time{}, 0, false, 0, false, 0, false
	le.weak = nil
	if until := le.denied[s.Endpoint()]; now.Before(until) {
		le.weaken(until, now)
	}
	le.set(le.o.Min, why, now)
}

// after is probe_after: a fleet that was thrown off together must not probe together.
func (le *Learner) after(known bool) time.Duration {
	switch {
	case le.o.After >= 0:
		return le.o.After
	case known:
		return knownWait + time.Duration(le.env.Rand()*float64(knownSpread))
	}
	return time.Duration(le.env.Rand() * float64(unknownSpread))
}

// down ends the epoch.
func (le *Learner) down(s MainLink, v faults.Verdict, now time.Time) {
	if le.main != s {
		return
	}
	if v.Kind == faults.OutcomeClosed && !le.asking.IsZero() && now.Sub(le.asking) < deniedWithin {
		le.deny(s.Endpoint(), now)
	}
	if le.weak != nil && v.Idle {
		le.weakLost, le.weakPath = le.interval, le.path
	}
	if v.Forgotten && le.weak == nil && le.search.Safe() > 0 {
		le.forgot = le.interval
	}
	le.main = nil
	le.drop()
}

// deny is called after the main link was closed right after its first nonce. Where nonces were carried before, it may be chance, once:
// then a probe hears itself first again.
func (le *Learner) deny(e *netdial.Endpoint, now time.Time) {
	le.hungUp[e]++
	if le.carried[e] && le.hungUp[e] < 2 {
		delete(le.carried, e)
		le.status.forgetEcho(e)
		return
	}
	le.hungUp[e] = 0
	le.denied[e], le.why = now.Add(deniedFor), "the server hung up when the main link published to a probe topic; allow it in the access rules"
}
