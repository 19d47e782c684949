package learn

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

const (
	pingOnlyBeats = 3   // answered beats in a row that raise the beat
	pingOnlyStep  = 1.5 // the factor by which it is raised

	survivedPart = 0.9 // a limit is met now and then, and now and then it is not: so close to what was survived it counts

	silentEndsFor = 24 * time.Hour // that a silence which ended a session is remembered
	silentEndsMax = 8              // of a path; the oldest make room
	silentPaths   = 16             // the same of paths
)

// pingOnly raises the beat where the server carries no probes, by the main link's own pings; on the learner's loop. That pings
// are answered proves nothing on a loose path, so they raise the beat no further than the operator allows (heartbeat.weak_max).
type pingOnly struct {
	le   *Learner
	lost map[string][]silentEnd // by path

	on    bool          // there are no probes; if false, the rest means nothing
	ends  time.Time     // when probes are tried again
	until time.Time     // next step
	limit time.Duration // of the beat
	safe  time.Duration // answered after this silence, pingOnlyBeats times; 0: none
}

// silentEnd is the silence at which a session ended, whether nothing was heard any more or it was closed.
type silentEnd struct {
	after time.Duration
	at    time.Time
}

// ended is called after each session. A silence that was survived before ends nothing: then the server had troubles of its own.
// Below the floor there is nothing to choose.
func (w *pingOnly) ended(v faults.Verdict, now time.Time) {
	le := w.le
	if !w.on {
		return
	}
	after := time.Duration(0)
	switch {
	case v.Idle:
		after = le.beat.interval
	case v.Kind == faults.OutcomeClosed:
		after = min(v.Silence, le.beat.interval)
	}
	if after < le.o.Min || !v.Idle && after < heartbeat.Share(v.Survived, survivedPart) {
		return
	}
	if _, known := w.lost[le.path]; !known && len(w.lost) >= silentPaths {
		for path := range w.lost { // any
			delete(w.lost, path)
			break
		}
	}
	all := append(w.lost[le.path], silentEnd{after, now})
	w.lost[le.path] = all[max(0, len(all)-silentEndsMax):]
}

// shortest is the shortest silence that has ended a session on a path of late; 0: none has.
func (w *pingOnly) shortest(path string, now time.Time) (least time.Duration) {
	for _, e := range w.lost[path] {
		if now.Sub(e.at) < silentEndsFor && (least == 0 || e.after < least) {
			least = e.after
		}
	}
	return least
}

// begin goes on without probes, until then.
func (w *pingOnly) begin(ends, now time.Time) {
	le := w.le
	le.flows.dropAll()
	limit := le.beat.weakest()
	if after := w.shortest(le.path, now); after > 0 {
		limit = min(limit, heartbeat.Share(after, 1/pingOnlyStep))
	}
	limit = max(le.o.Min, limit)
	w.on, w.ends, w.limit, w.safe = true, ends, limit, 0
	if le.beat.interval > limit {
		le.beat.set(limit, "probes are not possible any more: "+le.denials.why, now)
	}
	w.until = now.Add(pingOnlyBeats * le.beat.interval)
}

// step raises the beat by one step when it is time, or returns to probes when the denial has ended.
func (w *pingOnly) step(now time.Time) {
	le := w.le
	if !now.Before(w.ends) {
		w.on, le.flows.paused = false, now.Add(leastSleep)
		le.search.PathChanged(now, le.known)
		return
	}
	if now.Before(w.until) {
		return
	}
	w.safe = le.beat.interval
	if next := min(heartbeat.Share(le.beat.interval, pingOnlyStep), w.limit); next > le.beat.interval {
		le.beat.set(next, fmt.Sprintf("pings were answered after %v of silence; probes are not possible: %s", w.safe,
			le.denials.why), now)
	}
	w.until = now.Add(pingOnlyBeats * le.beat.interval)
	if le.beat.interval >= w.limit || w.until.After(w.ends) {
		w.until = w.ends
	}
}

// evidence says what the beat is based on: "inbound" proofs, "weak" (pings alone) or "none".
func (le *Learner) evidence() string {
	switch {
	case le.pingOnly.on && le.pingOnly.safe > 0:
		return "weak"
	case !le.pingOnly.on && le.search != nil && le.search.Safe() > 0:
		return "inbound"
	}
	return "none"
}

func (le *Learner) phase(now time.Time) string {
	switch {
	case !le.On():
		return heartbeat.Off.String()
	case le.spending.resting, le.strangers.resting(now):
		return "resting"
	case le.main == nil || le.search.Waiting(now):
		return "start"
	case !le.pingOnly.on && le.search.Settled():
		return "settled"
	}
	return "learning"
}
