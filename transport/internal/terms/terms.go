// Package terms finds out what a server does not take of what a session asks for: retained messages, a will, a long keepalive.
// Some servers close the connection at it without a word. How sessions ended comes in, and what the next one asks for goes out;
// it opens nothing, reads no clock and knows no link.
//
// Something is given up only when a session without it lived, and the one with it ended twice in the same way, by turns:
//
//	all ✗  all ✗  none ✓  all ✗ ─▶ it is one of them: halves, then one by one
//	             with ✗  without ✓  with ✗ ─▶ given up, and asked for again after AskAgain
//	             with ✓                    ─▶ innocent
//
// Anything else proves nothing: an outage, a server that ends the session without them too, another client with our id.
package terms

import (
	"slices"
	"strings"
	"time"
)

// Set is a set of what a session may ask for.
type Set uint8

// What a session may ask for.
const (
	Retain     Set = 1 << iota // the retain flag of what we publish
	WillRetain                 // that of the will
	Will
	LongKeep // a keepalive of more than half of the ceiling
	Keep     // one of more than the least

	wills = Will | WillRetain
	all   = Retain | wills | LongKeep | Keep
)

// names are the names in files, in their order.
func names() []string {
	return []string{"keepalive", "long_keepalive", "will", "will_retain", "retain"}
}

// order is in which one after the other is tried: what others need comes before them.
func order() []Set { return []Set{Keep, LongKeep, Will, WillRetain, Retain} }

// Has tells whether all of x is in s.
func (s Set) Has(x Set) bool { return s&x == x }

// Names are the words for s in a file.
func (s Set) Names() (words []string) {
	for i, one := range order() {
		if s.Has(one) {
			words = append(words, names()[i])
		}
	}
	return words
}

// Parse is the set of such words; unknown ones, of a later version, are left out.
func Parse(words []string) (s Set) {
	for i, one := range order() {
		if slices.Contains(words, names()[i]) {
			s |= one
		}
	}
	return s
}

// possible is s without what needs something that is not in it.
func (s Set) possible() Set {
	if !s.Has(Will) {
		s &^= WillRetain
	}
	if !s.Has(Keep) {
		s &^= LongKeep
	}
	return s
}

// split takes a set apart: into what CONNECT asks for beside retained messages and these, or one by one.
func (s Set) split() (parts []Set) {
	if a, b := s&^(Retain|WillRetain), s&(Retain|WillRetain); a != 0 && b != 0 {
		return []Set{a, b}
	}
	for _, one := range order() {
		if s.Has(one) {
			parts = append(parts, one)
		}
	}
	return parts
}

func (s Set) single() bool { return s&(s-1) == 0 }

// Way is how a session ended; "": in none that may be due to what it asked for.
type Way string

// The ways to end that may be due to what a session asked for.
const (
	Other    Way = ""
	Early    Way = "closed before CONNACK"
	Refused  Way = "refused"
	AtOnce   Way = "closed at once"
	AtRetain Way = "closed at a retained publish"
)

const (
	// AskAgain is for how long the server is believed that it does not take something.
	AskAgain = 24 * time.Hour
	// Kicked is how soon after CONNACK a session ends that is closed at once.
	Kicked = 10 * time.Second

	enough  = 10 * time.Second // that a session without anything lives, so that it is worth asking for all once more
	lived   = time.Minute      // that a session lives, so that it speaks for what it asked for
	resting = time.Hour        // after a suspicion that came to nothing
	strikes = 2
	misses  = 3 // sessions without that ended as well, or with that ended in another way: then it is something else
)

// Terms are those of one server. Not safe for concurrent use.
type Terms struct {
	wants Set       // what the options ask for
	doubt Set       // of that, what may be given up
	gone  Set       // of that, what was
	until time.Time // asked for again then

	row   int // sessions in a row that ended this way
	way   Way
	rest  time.Time // no suspicion before
	trial *trial    // nil: there is none
}

// trial is what happens to a suspicion.
type trial struct {
	good  Set   // a session with this has lived, or is about to
	todo  []Set // what is tried on top of it, one after the other
	with  bool  // the first of todo is asked for now
	first bool  // no session has lived yet
	again bool  // what was given up is asked for again: one refusal will do
	way   Way   // in which the last one with ended
	row   int   // how often
	miss  int
}

// New are the terms for a server that is asked for wants, of which doubt may be given up. gone is what an earlier process gave
// up, to be asked for again then.
func New(wants, doubt, gone Set, again time.Time) *Terms {
	wants = wants.possible()
	return &Terms{wants: wants, doubt: doubt & wants, gone: gone & doubt & wants, until: again}
}

// Next is what the next session asks for.
func (t *Terms) Next() Set {
	if t.trial == nil {
		return (t.wants &^ t.gone).possible()
	}
	s := t.trial.good
	if t.trial.with {
		s |= t.trial.todo[0]
	}
	return s.possible()
}

// Trying tells whether a session with Next is a trial.
func (t *Terms) Trying() bool { return t.trial != nil }

// Gone is what was given up.
func (t *Terms) Gone() Set { return t.gone }

// Suspected is what is being found out about: a session that asked for it was ended, and one without it was not.
func (t *Terms) Suspected() (s Set) {
	if t.trial == nil || t.trial.first || t.trial.again {
		return 0
	}
	for _, group := range t.trial.todo {
		s |= group
	}
	return s
}

// Due is when Lived must be called for a session that is up since then; zero: it need not.
func (t *Terms) Due(asked Set, up time.Time) time.Time {
	switch {
	case asked != t.Next():
	case t.trial == nil && t.gone != 0:
		if at := up.Add(lived); at.After(t.until) {
			return at
		}
		return t.until
	case t.trial != nil && t.trial.first && !t.trial.with:
		return up.Add(enough)
	case t.trial != nil:
		return up.Add(lived)
	}
	return time.Time{}
}

// Lived is called when Due says. It reports whether another session shall take its place, with what Next says then.
func (t *Terms) Lived(now time.Time, asked Set) (redial bool) {
	switch {
	case asked != t.Next():
		return false
	case t.trial == nil:
		if t.gone != 0 {
			t.trial = &trial{good: asked, todo: []Set{t.gone}, with: true, again: true}
		}
		return t.gone != 0
	case !t.trial.with:
		t.trial.with, t.trial.miss = true, 0
		return true
	case t.trial.first: // all at once: nothing of it was the reason
		t.abandon(now)
		return false
	}
	t.trial.good |= asked
	t.trial.todo = t.trial.todo[1:]
	return t.advance(now, true)
}

// advance goes on with the next thing to try; with: at once, for a session without it has just lived.
func (t *Terms) advance(now time.Time, with bool) bool {
	q := t.trial
	q.row, q.way, q.with = 0, Other, false
	for len(q.todo) > 0 && (q.good|q.todo[0]).possible() == q.good.possible() { // it needs what was given up
		q.todo = q.todo[1:]
	}
	if len(q.todo) > 0 {
		q.with = with
		return with
	}
	t.gone, t.until, t.trial, t.rest = t.doubt&^q.good, now.Add(AskAgain), nil, now.Add(resting)
	return false
}

// abandon ends a trial that has shown nothing.
func (t *Terms) abandon(now time.Time) {
	t.trial, t.rest, t.row, t.way, t.until = nil, now.Add(resting), 0, Other, now.Add(AskAgain)
}

// Ended is called after each attempt and session that ended without our doing. It reports whether the next attempt shall be made
// at once: it will ask for something else.
func (t *Terms) Ended(now time.Time, asked Set, way Way) (atOnce bool) {
	if asked != t.Next() {
		return false
	}
	if t.trial == nil {
		t.suspect(now, asked, way)
		return false
	}
	q := t.trial
	if !q.with {
		if way == Other {
			return false
		}
		if q.miss++; q.first || q.miss >= misses {
			t.abandon(now)
		}
		return false
	}
	q.with = false
	if way == Other {
		if q.miss++; q.miss >= misses {
			t.abandon(now)
		}
		return false
	}
	if q.first = false; !q.todo[0].single() {
		q.todo, q.row, q.way = append(q.todo[0].split(), q.todo[1:]...), 0, Other
		return true
	}
	if way != q.way {
		q.way, q.row = way, 0
	}
	if q.row++; q.row >= strikes || q.again {
		q.todo = q.todo[1:]
		t.advance(now, false)
	}
	return true
}

// suspect is Ended where there is no trial. The first session of one is no sooner than any other.
func (t *Terms) suspect(now time.Time, asked Set, way Way) {
	if way == Other || way != t.way {
		t.row, t.way = 0, way
	}
	if way == Other {
		return
	}
	doubt := asked & t.doubt
	if t.row++; t.row < strikes || doubt == 0 || now.Before(t.rest) {
		return
	}
	t.trial = &trial{good: asked &^ doubt, todo: []Set{doubt}, first: true}
	t.row, t.way = 0, Other
}

// Why says what the server does not take, and what does not work without it; empty: it takes all.
func (t *Terms) Why(server string) string {
	if s := t.Suspected(); s != 0 {
		return server + " ends sessions that ask for " + s.text() + ", and none that does not: finding out which of these it is"
	}
	s := t.gone
	if s &^= LongKeep | Keep; s == 0 {
		return ""
	}
	why := server + " ends sessions that ask for " + s.text() + ": it is left out"
	if s&(Retain|WillRetain) != 0 {
		why += ", so `linkbeatctl devices` finds only gateways that speak just then, and fleet documents do not wait for one"
	}
	if s.Has(Will) {
		why += ", and nobody is told when the gateway is gone"
	}
	why += "; it is tried again once a day"
	if s&(Retain|WillRetain) != 0 {
		why += ", and not with uplink.retain: off"
	}
	return why
}

// text names what s asks for.
func (s Set) text() string {
	var words []string
	for _, w := range []struct {
		of   Set
		word string
	}{{Retain, "retained messages"}, {WillRetain, "a retained will"}, {Will, "a will"}, {LongKeep | Keep, "a long keepalive"}} {
		if s&w.of != 0 {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, " or ")
}
