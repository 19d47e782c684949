package exec

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/config"
)

const (
	factMax    = 1 << 10         // bytes of an answer
	factsFirst = 5 * time.Second // how long the first report waits for the first answers
)

// Facts asks the commands of device.facts, one at a time, and keeps what they say. One that has no answer is no fact: what was
// true once may not be now. Safe for concurrent use.
type Facts struct {
	log     zerolog.Logger
	changed chan struct{} // capacity 1
	first   chan struct{} // closed when each was asked once

	mu      sync.Mutex
	queries map[string]*Query // by name; guarded by mu
}

// NewFacts returns facts with nothing to ask.
func NewFacts(log zerolog.Logger) *Facts {
	return &Facts{log: log, changed: make(chan struct{}, 1), first: make(chan struct{}), queries: map[string]*Query{}}
}

// Configure takes over what a document says; the answers to what did not change stay.
func (f *Facts) Configure(wanted map[string]config.Fact) {
	f.mu.Lock()
	queries := map[string]*Query{}
	for name, w := range wanted {
		q := NewQuery("device.facts."+name, Program{Argv: w.Command, Most: factMax}, w.Every.Std(), f.log)
		if old := f.queries[name]; old != nil && old.every == q.every && slices.Equal(old.program.Argv, q.program.Argv) {
			q = old
		}
		queries[name] = q
	}
	f.queries = queries
	f.mu.Unlock()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// Get is what is known, by name; nil: nothing.
func (f *Facts) Get() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var known map[string]string
	for name, q := range f.queries {
		if answer := q.Get(); answer != "" {
			if known == nil {
				known = map[string]string{}
			}
			known[name] = answer
		}
	}
	return known
}

// Run asks until ctx is done.
func (f *Facts) Run(ctx context.Context) error {
	asked := false
	for ctx.Err() == nil {
		q := f.next()
		if !asked && (q == nil || !q.Due.IsZero()) {
			asked = true
			close(f.first)
		}
		if q != nil && !time.Now().Before(q.Due) {
			q.Ask(ctx, false)
			continue
		}
		f.pause(ctx, q)
	}
	return nil
}

// next is the query that is due first, by name where several are; nil: there is none.
func (f *Facts) next() (first *Query) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(f.queries)) {
		if q := f.queries[name]; first == nil || q.Due.Before(first.Due) {
			first = q
		}
	}
	return first
}

// pause waits until q is due, or others are wanted.
func (f *Facts) pause(ctx context.Context, q *Query) {
	var due <-chan time.Time
	if q != nil {
		timer := time.NewTimer(time.Until(q.Due))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-due:
	case <-f.changed:
	}
}

// Await gives the first answers a moment, so that the first report has them already.
func (f *Facts) Await(ctx context.Context) {
	timer := time.NewTimer(factsFirst)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-f.first:
	}
}
