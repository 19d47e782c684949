package transport

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// How an epoch of a path begins and ends.

// up is called with each session that is up. A planned one goes on where the last one was.
func (le *learner) up(s *session, now time.Time) {
	le.main, le.asking = s, time.Time{}
	if s.planned && le.search != nil && le.path == le.l.pathOf(s.e, s.stream) {
		s.setInterval(le.interval)
		return
	}
	k, why := heartbeat.Knowledge{}, "a new connection: nothing is proven on it yet"
	if gap := le.forgot; gap > 0 && le.path == le.l.pathOf(s.e, s.stream) {
		k = heartbeat.Knowledge{Proven: le.search.Safe(), Failing: gap}
		why = fmt.Sprintf("the path forgot the connection after %v of silence: searched again below", gap.Round(time.Millisecond))
	}
	le.forgot = 0
	le.epoch(s, now, k, why)
}

// epoch begins anew: nothing is proven. What is remembered, or was known of another server, is a hint.
func (le *learner) epoch(s *session, now time.Time, k heartbeat.Knowledge, why string) {
	le.remember(now)
	le.drop()
	hint := le.known
	if le.search != nil && le.search.Knowledge().Known() {
		hint = le.search.Knowledge()
	}
	le.path = le.l.pathOf(s.e, s.stream)
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
	le.search = heartbeat.NewSearch(le.searchOptions(s.e))
	le.search.PathChanged(now.Add(le.after(remembered)), hint)
	le.watched, le.paused, le.failures, le.resting, le.quiet, le.asked, le.doubtful, le.pairAlone = now, time.Time{}, 0, false, 0, false, 0, false
	le.weak = nil
	if until := le.denied[s.e]; now.Before(until) {
		le.weaken(until, now)
	}
	le.set(le.o.Min, why, now)
}

// after is probe_after: a fleet that was thrown off together must not probe together.
func (le *learner) after(known bool) time.Duration {
	switch {
	case le.o.After >= 0:
		return le.o.After
	case known:
		return knownWait + time.Duration(le.l.o.Rand()*float64(knownSpread))
	}
	return time.Duration(le.l.o.Rand() * float64(unknownSpread))
}

// down is called after a session was lost, not after a planned re-dial.
func (le *learner) down(s *session, v faults.Verdict, now time.Time) {
	if le.main != s {
		return
	}
	if v.Kind == faults.OutcomeClosed && !le.asking.IsZero() && now.Sub(le.asking) < deniedWithin {
		le.deny(s.e, now)
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
func (le *learner) deny(e *netdial.Endpoint, now time.Time) {
	le.hungUp[e]++
	if le.carried[e] && le.hungUp[e] < 2 {
		delete(le.carried, e)
		le.status.forgetEcho(e)
		return
	}
	le.hungUp[e] = 0
	le.denied[e], le.why = now.Add(deniedFor), "the server hung up when the main link published to a probe topic; allow it in the access rules"
}
