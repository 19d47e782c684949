// Package flood bounds in sum what strangers cause one for one: log lines, replies, sessions. Whoever may publish to a gateway,
// or holds a device on its line, can do so without end; what that makes the gateway do must not grow with it. Deciding is pure,
// and now comes in; Log and Answers are what parts of the agent hold.
package flood

import (
	"time"
	"unicode/utf8"
)

// Bucket lets so many through at once as it holds, and refills evenly. Pure; the zero value lets nothing through.
type Bucket struct {
	Burst     float64 // that it holds
	PerMinute float64 // that it gets

	used float64 // of Burst
	at   time.Time
}

// Take takes one, if there is one. A clock that goes back gives nothing and takes nothing away.
func (b *Bucket) Take(now time.Time) bool {
	if since := now.Sub(b.at); !b.at.IsZero() && since > 0 {
		b.used = max(0, b.used-since.Minutes()*b.PerMinute)
	}
	b.at = now
	if b.used+1 > b.Burst {
		return false
	}
	b.used++
	return true
}

// TallyEvery is how often what is only counted is told.
const TallyEvery = time.Minute

// kindsMost bounds the kinds of a Tally. Kinds are words of ours, never a stranger's, so it is reached by a mistake alone.
const kindsMost = 512

// Tally says which things of a kind are told, and counts the others: the first is, and then once each TallyEvery how many more
// there were; where more than the first is told by itself, one of each TallyEvery is too. After a TallyEvery without any the next
// is a first one again. Pure; the zero value is ready.
type Tally struct {
	kinds map[string]*tallied
}

type tallied struct {
	since time.Time // the last time that something was told
	told  int       // one by one, since the first
	last  time.Time // that one was
	more  int64     // counted since then
}

// Count is what was not told one by one.
type Count struct {
	Kind  string
	More  int64
	Since time.Time
}

// Note is called with each thing; true: it is one of the first few of its kind, and is to be told by itself.
func (t *Tally) Note(kind string, first int, now time.Time) bool {
	if t.kinds == nil {
		t.kinds = map[string]*tallied{}
	}
	k := t.kinds[kind]
	if k == nil {
		if len(t.kinds) >= kindsMost {
			return false
		}
		k = &tallied{since: now}
		t.kinds[kind] = k
	}
	// Of few kinds, one a minute is told however long it goes on.
	if k.told < first || first > 1 && now.Sub(k.last) >= TallyEvery {
		k.told, k.last = min(k.told+1, first), now
		return true
	}
	k.more++
	return false
}

// Due is what is to be told now, in any order: what was counted for TallyEvery. all: whatever was counted, as at the end.
func (t *Tally) Due(now time.Time, all bool) (due []Count) {
	for name, k := range t.kinds {
		switch {
		case k.more > 0 && (all || now.Sub(k.since) >= TallyEvery):
			due = append(due, Count{name, k.more, k.since})
			k.more, k.since = 0, now
		case k.more == 0 && now.Sub(k.since) >= TallyEvery:
			delete(t.kinds, name)
		}
	}
	return due
}

// Idle is true when nothing is counted, nor remembered.
func (t *Tally) Idle() bool { return len(t.kinds) == 0 }

// Clip is the beginning of a stranger's text, at most so many bytes of it, for a line or a reply that must not be as long as
// they like.
func Clip(text string, most int) string {
	const more = "…"
	if len(text) <= most {
		return text
	}
	cut := max(0, most-len(more))
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + more
}
