package learn

import (
	"errors"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/internal/client"
)

// What others may send to our probe topics in a day, all sessions together, until learning rests. Nobody but this gateway has a
// reason to publish there, and 4 KiB a day are less than the share of refused traffic in a budget of 3 MB a month. A little noise
// costs a silence that was broken; more would let a stranger decide what learning costs.
const (
	foreignMessages = 16
	foreignBytes    = 4 << 10
	foreignOne      = 1 << 10 // bytes on one session, as twelve may hear the same flood before the first has ended them
	foreignWithin   = 24 * time.Hour
	foreignRest     = 10 * time.Minute // twice as long each time that it goes on
	foreignRestMax  = 24 * time.Hour
)

// strangers are others that publish to our probe topics, or a server that sends probe sessions what nobody asked for; on the
// learner's loop. They outlast an epoch: a reconnect does not change who may publish.
type strangers struct {
	le              *Learner
	since           time.Time // of the counts
	messages, bytes int
	until           time.Time     // no probe session before
	gap             time.Duration // how long the last rest was
	why             string        // of the rest
	trying          bool          // since a rest nothing was proven: one session at a time finds out whether it goes on
}

// heard is called with each packet on a probe session, or on the main link's own probe topic, that is not ours.
func (s *strangers) heard(topic string, kind byte, size int, now time.Time) {
	if s.since.IsZero() || now.Sub(s.since) >= foreignWithin {
		s.since, s.messages, s.bytes = now, 0, 0
	}
	s.messages, s.bytes = s.messages+1, s.bytes+size
	if s.messages > foreignMessages || s.bytes > foreignBytes {
		s.rest(topic, kind, now)
	}
}

// rest ends all probe sessions for a while. It says nothing about the path.
func (s *strangers) rest(topic string, kind byte, now time.Time) {
	if now.Before(s.until) {
		return
	}
	if now.Sub(s.until) >= foreignWithin {
		s.gap = 0
	}
	s.gap = min(max(2*s.gap, foreignRest), foreignRestMax)
	s.until = now.Add(s.gap)
	s.trying = true
	s.le.flows.drop()
	s.why = fmt.Sprintf("others publish to %s: only this gateway may; look who else can (linkbeatctl acl)", topic)
	if kind != codec.TypePublish {
		s.why = fmt.Sprintf("the server keeps sending probe sessions %s that nobody asked for: look what listens there",
			codec.Unasked(kind))
	}
	if s.le.env.Foreign != nil {
		s.le.env.Foreign(s.text(now))
	}
}

// text is what is said of it; empty: nothing rests because of it.
func (s *strangers) text(now time.Time) string {
	if !now.Before(s.until) {
		return ""
	}
	return fmt.Sprintf("heartbeat: learning rests until %s UTC, as %s", s.until.UTC().Format(time.DateTime), s.why)
}

// ended reports whether a session of a topic ended because of strangers.
func (s *strangers) ended(err error, topic string, now time.Time) bool {
	if !errors.Is(err, client.ErrForeign) {
		return false
	}
	s.rest(topic, codec.TypePublish, now)
	return true
}

// pausedUntil is when probe sessions may be opened again; the past: now.
func (f *flows) pausedUntil() time.Time { return heartbeat.Later(f.paused, f.le.strangers.until) }
