package learn

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

const (
	weakBeats = 3   // beats in a row that were answered raise a weak beat
	weakStep  = 1.5 // by this
)

// weakBeat is what is left where the server carries no probes: the main link's own pings. That they are answered proves nothing
// on a loose path, so they raise the beat no further than the operator allows.
type weakBeat struct {
	le     *Learner
	lost   time.Duration // the beat at which the link was lost on lostOn, while on; 0: none
	lostOn string        // a path

	on    bool          // there are no probes; if false, the rest means nothing
	ends  time.Time     // when probes are tried again
	until time.Time     // next step
	limit time.Duration // of the beat
	safe  time.Duration // answered after this silence, weakBeats times; 0: none
}

// begin goes on without probes, until then.
func (w *weakBeat) begin(ends, now time.Time) {
	le := w.le
	le.flows.drop()
	limit := max(le.env.Interval, le.o.Weak)
	if w.lost > 0 && w.lostOn == le.path {
		limit = min(limit, share(w.lost, 1/weakStep))
	}
	limit = max(le.o.Min, min(limit, le.o.Max, le.env.Keepalive))
	w.on, w.ends, w.limit, w.safe = true, ends, limit, 0
	if le.beat.interval > limit {
		le.set(limit, "probes are not possible any more: "+le.denials.why, now)
	}
	w.until = now.Add(weakBeats * le.beat.interval)
}

// judge raises the beat step by step.
func (w *weakBeat) judge(now time.Time) {
	le := w.le
	if !now.Before(w.ends) {
		w.on, w.lost, le.flows.paused = false, 0, now.Add(leastSleep)
		le.search.PathChanged(now, le.known)
		return
	}
	if now.Before(w.until) {
		return
	}
	w.safe = le.beat.interval
	if next := min(share(le.beat.interval, weakStep), w.limit); next > le.beat.interval {
		le.set(next, fmt.Sprintf("pings were answered after %v of silence; probes are not possible: %s", w.safe, le.denials.why), now)
	}
	w.until = now.Add(weakBeats * le.beat.interval)
	if le.beat.interval >= w.limit || w.until.After(w.ends) {
		w.until = w.ends
	}
}

// evidence says what the beat rests on.
func (le *Learner) evidence() string {
	switch {
	case le.weak.on && le.weak.safe > 0:
		return "weak"
	case !le.weak.on && le.search != nil && le.search.Safe() > 0:
		return "inbound"
	}
	return "none"
}

func (le *Learner) phase(now time.Time) string {
	switch {
	case !le.On():
		return heartbeat.Off.String()
	case le.purse.resting:
		return "resting"
	case le.main == nil || le.search.Waiting(now):
		return "start"
	case !le.weak.on && le.search.Settled():
		return "settled"
	}
	return "learning"
}
