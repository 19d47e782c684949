package learn

import (
	"errors"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/internal/client"
)

// What others may send to our probe topics in a day, all sessions together, until learning rests. Nobody but this gateway has a
// reason to publish there, and 4 KiB a day are less than the share of refused traffic in a budget of 3 MB a month. A little noise
// costs a silence that was broken; more would let a stranger decide what learning costs. A retained message comes with each
// session, though it was published once: it costs bytes, and is no message of today.
const (
	foreignMessages = 16
	foreignBytes    = 4 << 10
	foreignOne      = 1 << 10 // bytes on one session, as twelve may hear the same flood before the first has ended them
	foreignWithin   = 24 * time.Hour
	foreignRest     = 10 * time.Minute // twice as long each time that it goes on
	foreignRestMax  = 24 * time.Hour
	foreignWatch    = 1 // sessions that may be opened in a rest, to watch for a limit that shrinks
)

// strangers are others that publish to our probe topics, or a server that sends probe sessions what nobody asked for; on the
// learner's loop. They outlast an epoch: a reconnect does not change who may publish.
type strangers struct {
	le              *Learner
	since           time.Time // of the counts
	messages, bytes int
	until           time.Time     // no probe session before, but for the watch
	watch           int           // sessions that the watch may still open before that
	gap             time.Duration // how long the last rest was
	why             string        // of the rest
	trying          bool          // since a rest nothing was proven: one session at a time finds out whether it goes on
	kept            string        // a topic with a retained message
	keptAt          time.Time     // when that came last
}

// heard is called with each packet on a probe session, or on the main link's own probe topic, that is not ours.
func (s *strangers) heard(topic string, p client.Packet, now time.Time) {
	if s.since.IsZero() || now.Sub(s.since) >= foreignWithin {
		s.since, s.messages, s.bytes = now, 0, 0
	}
	if s.bytes += p.Size; p.Retained {
		s.kept, s.keptAt = topic, now
	} else {
		s.messages++
	}
	most := foreignBytes
	if s.trying {
		most = foreignOne // or each rest would be paid for anew
	}
	if s.messages > foreignMessages || s.bytes > most {
		s.rest(topic, p, now)
	}
}

// resting reports whether learning rests because of them.
func (s *strangers) resting(now time.Time) bool { return now.Before(s.until) }

// rest ends the probe sessions for a while, but for one that watches: a limit that shrinks meanwhile must not stay unseen because
// a stranger wants it so. It says nothing about the path.
func (s *strangers) rest(topic string, p client.Packet, now time.Time) {
	if s.resting(now) {
		return
	}
	if now.Sub(s.until) >= foreignWithin {
		s.gap = 0
	}
	s.gap = min(max(2*s.gap, foreignRest), foreignRestMax)
	s.until = now.Add(s.gap)
	s.since, s.watch, s.trying = time.Time{}, foreignWatch, true
	s.le.flows.drop(func(p *probe) bool { return p.canary })
	switch {
	case p.Kind != codec.TypePublish:
		s.why = fmt.Sprintf("the server keeps sending probe sessions %s that nobody asked for: look what listens there",
			codec.Unasked(p.Kind))
	case p.Retained:
		s.why = retained(topic)
	default:
		s.why = fmt.Sprintf("others publish to %s: only this gateway may; look who else can (linkbeatctl acl)", topic)
	}
	if s.le.env.Foreign != nil {
		s.le.env.Foreign(s.text(now))
	}
}

// retained says what to do about a retained message.
func retained(topic string) string {
	return fmt.Sprintf("a retained message of somebody else comes with each probe session of %s: clear it "+
		"(mosquitto_pub -r -n -t '%s'), and look who may publish there (linkbeatctl acl)", topic, topic)
}

// text is what is said of them; empty: there is nothing to do.
func (s *strangers) text(now time.Time) string {
	switch {
	case s.resting(now):
		return fmt.Sprintf("heartbeat: learning rests until %s UTC, as %s", s.until.UTC().Format(time.DateTime), s.why)
	case s.kept != "" && now.Sub(s.keptAt) < foreignWithin:
		return "heartbeat: " + retained(s.kept)
	}
	return ""
}

// spare reports whether one more session may be opened to watch, and takes it.
func (s *strangers) spare(now time.Time) bool {
	if !s.resting(now) {
		return true
	}
	s.watch--
	return s.watch >= 0
}

// ended reports whether a session ended because of strangers. What they sent was counted by heard.
func ended(err error) bool { return errors.Is(err, client.ErrForeign) }
