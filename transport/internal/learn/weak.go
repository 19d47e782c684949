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
	ends  time.Time // when probes are tried again
	until time.Time // next step
	limit time.Duration
	safe  time.Duration // answered after this silence, weakBeats times; 0: none
}

// weaken goes on without probes.
func (le *Learner) weaken(until, now time.Time) {
	le.drop()
	w := &weakBeat{ends: until, limit: max(le.env.Interval, le.o.Weak)}
	if lost := le.weakLost; lost > 0 && le.weakPath == le.path {
		w.limit = min(w.limit, share(lost, 1/weakStep))
	}
	w.limit = max(le.o.Min, min(w.limit, le.o.Max, le.env.Keepalive))
	le.weak = w
	if le.interval > w.limit {
		le.set(w.limit, "probes are not possible any more: "+le.why, now)
	}
	w.until = now.Add(weakBeats * le.interval)
}

// judge raises the beat step by step.
func (w *weakBeat) judge(le *Learner, now time.Time) {
	if !now.Before(w.ends) {
		le.weak, le.paused, le.weakLost = nil, now.Add(leastSleep), 0
		le.search.PathChanged(now, le.known)
		return
	}
	if now.Before(w.until) {
		return
	}
	w.safe = le.interval
	if next := min(share(le.interval, weakStep), w.limit); next > le.interval {
		le.set(next, fmt.Sprintf("pings were answered after %v of silence; probes are not possible: %s", w.safe, le.why), now)
	}
	w.until = now.Add(weakBeats * le.interval)
	if le.interval >= w.limit || w.until.After(w.ends) {
		w.until = w.ends
	}
}

// evidence says what the beat rests on.
func (le *Learner) evidence() string {
	switch {
	case le.weak != nil && le.weak.safe > 0:
		return "weak"
	case le.weak == nil && le.search != nil && le.search.Safe() > 0:
		return "inbound"
	}
	return "none"
}

func (le *Learner) phase(now time.Time) string {
	switch {
	case !le.On():
		return heartbeat.Off.String()
	case le.resting:
		return "resting"
	case le.main == nil || le.search.Waiting(now):
		return "start"
	case le.weak == nil && le.search.Settled():
		return "settled"
	}
	return "learning"
}
