package learn

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

const (
	unknownSpread = 60 * time.Second // probe_after auto: a new path waits random 0 to this
	knownWait     = 10 * time.Minute // and a known one this and random 0 to knownSpread
	knownSpread   = 30 * time.Minute
	deniedFor     = 24 * time.Hour // until a server that denied probes is asked again
)

// How an epoch of a path begins and ends.

// Up is called with each session that is up.
func (le *Learner) Up(s MainLink, now time.Time) { le.do(func() { le.up(s, now) }) }

// Down is called after a session was lost, not after a planned re-dial.
func (le *Learner) Down(s MainLink, v faults.Verdict) { le.do(func() { le.down(s, v, time.Now()) }) }

// up begins an epoch; a planned session goes on where the last one was.
func (le *Learner) up(s MainLink, now time.Time) {
	le.main, le.denials.asking = s, time.Time{}
	if s.Planned() && le.search != nil && le.path == le.pathOf(s.Endpoint(), s.Path()) {
		s.SetInterval(le.beat.interval)
		return
	}
	k, why := heartbeat.Knowledge{}, "a new connection: nothing is proven on it yet"
	if gap := le.forgotAfter; gap > 0 && le.path == le.pathOf(s.Endpoint(), s.Path()) {
		k = heartbeat.Knowledge{Proven: le.search.Safe(), Failing: gap}
		why = fmt.Sprintf("the path forgot the connection after %v of silence: searched again below", gap.Round(time.Millisecond))
	}
	le.forgotAfter = 0
	le.epoch(s, now, k, why)
}

// epoch begins a new epoch: nothing is proven. What is remembered of the path, or was learnt with another server, is a hint.
func (le *Learner) epoch(s MainLink, now time.Time, k heartbeat.Knowledge, why string) {
	le.remember(now)
	le.flows.dropAll()
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
	le.canaries.watched, le.canaries.quiet, le.canaries.asked, le.canaries.doubtful = now, 0, false, 0
	le.canaries.seen, le.canaries.unsure = now, 0
	le.flows.paused, le.flows.failures = time.Time{}, 0
	le.spending.resting, le.pair.ownMapping, le.pair.unheard, le.pingOnly.on = false, false, false, false
	if until := le.denials.until[s.Endpoint()]; now.Before(until) {
		le.pingOnly.begin(until, now)
	}
	le.beat.set(le.o.Min, why, now)
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
	if v.Kind == faults.OutcomeClosed && !le.denials.asking.IsZero() && now.Sub(le.denials.asking) < deniedWithin {
		le.denials.hangUp(s.Endpoint(), now)
	}
	le.pingOnly.ended(v, now)
	if v.Forgotten && !le.pingOnly.on && le.search.Safe() > 0 {
		le.forgotAfter = le.beat.interval
	}
	le.main = nil
	le.flows.dropAll()
}

// denials remember which servers do not carry probes, and until when they are not asked again; on the learner's loop.
type denials struct {
	le      *Learner
	until   map[*netdial.Endpoint]time.Time // no probes before
	carried map[*netdial.Endpoint]bool      // servers that carried a nonce of the main link
	hungUp  map[*netdial.Endpoint]int       // how often the main link was closed right after its first nonce
	asking  time.Time                       // last nonce of this session; zero: none yet
	why     string                          // probes are not possible
}

// hangUp is called after the server closed the main link right after its first nonce: that server is not probed for deniedFor.
// Exception: where nonces were carried before, the first time may be chance; then a probe must only echo to itself again first.
func (d *denials) hangUp(e *netdial.Endpoint, now time.Time) {
	d.hungUp[e]++
	if d.carried[e] && d.hungUp[e] < 2 {
		delete(d.carried, e)
		d.le.status.forgetEcho(e)
		return
	}
	d.hungUp[e] = 0
	d.until[e] = now.Add(deniedFor)
	d.why = "the server hung up when the main link published to a probe topic; allow it in the access rules"
}

// shrink begins a new epoch after a proven silence failed: the search begins below it.
func (le *Learner) shrink(proven, failing time.Duration, now time.Time) {
	why := fmt.Sprintf("the path forgot a connection after %v: its limit is shorter now", failing.Round(time.Millisecond))
	le.status.shrunk()
	le.epoch(le.main, now, heartbeat.Knowledge{Proven: proven, Failing: failing}, why)
}

// remember keeps what was learnt. A search that has only begun again does not overwrite what an earlier one found.
func (le *Learner) remember(now time.Time) {
	if le.search == nil || le.o.Memory == nil || le.path == "" {
		return
	}
	k := le.search.Knowledge()
	k.Kind = le.kind
	better := k.Proven > le.known.Proven || le.search.Settled() && k.Known()
	changed := k.Proven != le.known.Proven || k.Failing != le.known.Failing || k.Kind != le.known.Kind ||
		k.At.Sub(le.known.At) >= 24*time.Hour
	if better && changed {
		le.known = k
		le.o.Memory.Remember(le.path, k)
	}
}

const deniedWithin = 5 * time.Second
