package backoff

import (
	"fmt"
	"hash/maphash"
	"time"
)

const (
	ownPayloads     = 64 // births and wills that are remembered, as hashes
	closesToSuspect = 2  // sessions in a row that were closed while all was well
	sightingsToName = 3  // announcements of others while we are up: one may be the late will of an earlier process of ours

	silencesKept  = 8               // of the last closes in a row
	leastSilence  = 5 * time.Second // no idle limit is shorter
	silenceSpread = 10              // part of the longest by which silences that one limit ended differ at most
	silenceJitter = 2 * time.Second // and at least
)

// Takeover recognises another client with our id, and a server that closes sessions for another reason. A server closes the
// older session of an id without a word [MQTT-3.1.4-2], so the only evidence is the state topic: another session announces itself
// there. That one session after the other is closed while all is well may have other reasons; and where each was silent for as
// long, the reason is known: a limit of silence. Pure; owned by the link.
type Takeover struct {
	seed      maphash.Seed
	own       []uint64
	closes    int
	silences  []time.Duration // before the last of them
	foreign   bool            // an announcement that is not ours was seen
	sightings int             // how many while we were up
}

// NewTakeover has seen nothing yet.
func NewTakeover() *Takeover { return &Takeover{seed: maphash.MakeSeed()} }

// Announced is called with the birth and the will of each session of ours.
func (t *Takeover) Announced(payloads ...[]byte) {
	for _, p := range payloads {
		t.own = append(t.own, maphash.Bytes(t.seed, p))
	}
	t.own = t.own[max(0, len(t.own)-ownPayloads):]
}

// Seen is called with each payload on the state topic; it reports whether another client made it. What was retained before
// the first session was lost is of an earlier process of ours.
func (t *Takeover) Seen(payload []byte, retained bool) bool {
	sum := maphash.Bytes(t.seed, payload)
	for _, own := range t.own {
		if own == sum {
			return false
		}
	}
	if retained && t.closes == 0 {
		return false
	}
	t.foreign = true
	if !retained {
		t.sightings++
	}
	return true
}

// Ended is called after each session that was up, with our silence before it ended.
func (t *Takeover) Ended(closedWhileWell bool, silence time.Duration) {
	if !closedWhileWell {
		t.closes, t.silences = 0, nil
		return
	}
	t.closes++
	t.silences = append(t.silences, silence)
	t.silences = t.silences[max(0, len(t.silences)-silencesKept):]
}

// idle is the silence at which the last sessions were closed; 0: they were not, or not at one that is the same.
func (t *Takeover) idle() time.Duration {
	if t.closes < closesToSuspect {
		return 0
	}
	least, most := t.silences[0], t.silences[0]
	for _, d := range t.silences {
		least, most = min(least, d), max(most, d)
	}
	if least < leastSilence || most-least > max(silenceJitter, most/silenceSpread) {
		return 0
	}
	return most
}

// Stable is called after a session lasted, and as long no other client was seen: all signs are forgotten.
func (t *Takeover) Stable() { t.closes, t.silences, t.foreign, t.sightings = 0, nil, false, 0 }

// sure reports that both signs were seen.
func (t *Takeover) sure() bool { return t.closes > 0 && t.foreign }

// Other reports whether Why speaks of another client.
func (t *Takeover) Other() bool { return t.sure() || t.sightings >= sightingsToName }

// Why names the takeover, or why else sessions are closed one after the other; empty: they are not.
func (t *Takeover) Why(clientID, topic string) string {
	switch {
	case t.sure():
		return fmt.Sprintf("another client with the id %q takes our session over: it announces itself on %s; "+
			"give each gateway an id of its own", clientID, topic)
	case t.sightings >= sightingsToName:
		return fmt.Sprintf("another client announces itself on our state topic %s; give each gateway an id of its own", topic)
	case t.idle() > 0:
		return fmt.Sprintf("%d sessions in a row were closed after %v in which we sent nothing: the server, or something on the "+
			"way, closes what is silent for so long; heartbeat.interval and heartbeat.min must be shorter", t.closes,
			t.idle().Round(time.Second))
	case t.closes >= closesToSuspect:
		return fmt.Sprintf("server closed %d sessions in a row while all was well: its log says why; "+
			"it may not allow what we publish", t.closes)
	}
	return ""
}
