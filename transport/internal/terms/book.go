package terms

import (
	"sync"
	"time"
)

// Memory keeps over restarts what servers do not take. Safe for concurrent use.
type Memory interface {
	// Refused is what the server of that name does not take, and in how long it is asked again.
	Refused(server string) (what []string, again time.Duration)
	// SaveRefused keeps it for AskAgain; nothing: forgets it.
	SaveRefused(server string, what []string)
}

// Book has the terms of each server of a link, by its place in the list. Safe for concurrent use.
type Book struct {
	servers []string // immutable
	memory  Memory   // nil: none

	mu    sync.Mutex
	terms []*Terms
}

// NewBook is for the servers of these names, which are all asked for the same; see New. m may be nil.
func NewBook(servers []string, wants, doubt Set, m Memory, now time.Time) *Book {
	b := &Book{servers: servers, memory: m}
	for _, name := range servers {
		gone, again := Set(0), time.Duration(0)
		if m != nil {
			var words []string
			words, again = m.Refused(name)
			gone = Parse(words)
		}
		b.terms = append(b.terms, New(wants, doubt, gone, now.Add(again)))
	}
	return b
}

// Next is what the next session at server i asks for, and whether that is a trial.
func (b *Book) Next(i int) (asks Set, trying bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.terms[i].Next(), b.terms[i].Trying()
}

// Due is when Lived must be called for a session at server i that is up since then; zero: it need not.
func (b *Book) Due(i int, asked Set, up time.Time) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.terms[i].Due(asked, up)
}

// Lived is called when Due says; see Terms. changed: Gone and Why have.
func (b *Book) Lived(i int, now time.Time, asked Set) (redial, changed bool) {
	changed = b.with(i, func(t *Terms) { redial = t.Lived(now, asked) })
	return redial, changed
}

// Ended is called after each attempt and session at server i that ended without our doing; see Terms.
func (b *Book) Ended(i int, now time.Time, asked Set, way Way) (atOnce, changed bool) {
	changed = b.with(i, func(t *Terms) { atOnce = t.Ended(now, asked, way) })
	return atOnce, changed
}

// with lets do change the terms of server i, and keeps what was found out.
func (b *Book) with(i int, do func(t *Terms)) (changed bool) {
	b.mu.Lock()
	before, until := b.terms[i].Gone(), b.terms[i].until
	do(b.terms[i])
	gone := b.terms[i].Gone()
	changed = gone != before
	save := changed || gone != 0 && !b.terms[i].until.Equal(until)
	b.mu.Unlock()
	if save && b.memory != nil {
		b.memory.SaveRefused(b.servers[i], gone.Names())
	}
	return changed
}

// Gone is what server i does not take.
func (b *Book) Gone(i int) Set {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.terms[i].Gone()
}

// Why says what server i does not take, and what does not work without it; empty: it takes all.
func (b *Book) Why(i int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.terms[i].Why(b.servers[i])
}
