package backoff

import (
	"fmt"
	"hash/maphash"
)

const (
	ownPayloads     = 64 // births and wills that are remembered, as hashes
	closesToSuspect = 2  // sessions in a row that were closed while all was well
	sightingsToName = 3  // announcements of others while we are up: one may be the late will of an earlier process of ours
)

// Takeover recognises another client with our id. A server closes the older session of an id without a word
// [MQTT-3.1.4-2], so all there is are the pattern (it closes one session after the other while all is well) and the state
// topic (another session announces itself there). Pure; owned by the link.
type Takeover struct {
	seed      maphash.Seed
	own       []uint64
	closes    int
	foreign   bool // an announcement that is not ours was seen
	sightings int  // how many while we were up
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

// Ended is called after each session that was up.
func (t *Takeover) Ended(closedWhileWell bool) {
	if !closedWhileWell {
		t.closes = 0
		return
	}
	t.closes++
}

// Stable is called after a session lasted, and as long no other client was seen: all signs are forgotten.
func (t *Takeover) Stable() { t.closes, t.foreign, t.sightings = 0, false, 0 }

// sure reports that both signs were seen.
func (t *Takeover) sure() bool { return t.closes > 0 && t.foreign }

// Why names the takeover, or the suspicion of one; empty when there is no sign of it.
func (t *Takeover) Why(clientID, topic string) string {
	switch {
	case t.sure():
		return fmt.Sprintf("another client with the id %q takes our session over: it announces itself on %s; "+
			"give each gateway an id of its own", clientID, topic)
	case t.sightings >= sightingsToName:
		return fmt.Sprintf("another client announces itself on our state topic %s; give each gateway an id of its own", topic)
	case t.closes >= closesToSuspect:
		return fmt.Sprintf("server closed %d sessions in a row while all was well: another client may use the id %q, "+
			"or it does not allow what we publish", t.closes, clientID)
	}
	return ""
}
