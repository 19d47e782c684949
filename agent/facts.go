package agent

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

// facts asks the commands of device.facts, one at a time, and keeps what they say. One that has no answer is no fact: what was true
// once may not be now. Safe for concurrent use.
type facts struct {
	log     zerolog.Logger
	changed chan struct{} // capacity 1
	first   chan struct{} // closed when each was asked once

	mu        sync.Mutex
	questions map[string]*question // by name; guarded by mu
}

func newFacts(log zerolog.Logger) *facts {
	return &facts{log: log, changed: make(chan struct{}, 1), first: make(chan struct{}), questions: map[string]*question{}}
}

// want takes over what a document says; the answers to what did not change stay.
func (f *facts) want(wanted map[string]config.Fact) {
	f.mu.Lock()
	questions := map[string]*question{}
	for name, w := range wanted {
		q := newQuestion("device.facts."+name, program{argv: w.Command, most: factMax}, w.Every.Std(), f.log)
		if old := f.questions[name]; old != nil && old.every == q.every && slices.Equal(old.command.argv, q.command.argv) {
			q = old
		}
		questions[name] = q
	}
	f.questions = questions
	f.mu.Unlock()
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// get is what is known, by name; nil: nothing.
func (f *facts) get() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var known map[string]string
	for name, q := range f.questions {
		if answer := q.get(); answer != "" {
			if known == nil {
				known = map[string]string{}
			}
			known[name] = answer
		}
	}
	return known
}

// run asks until ctx is done.
func (f *facts) run(ctx context.Context) error {
	asked := false
	for ctx.Err() == nil {
		q := f.next()
		if !asked && (q == nil || !q.due.IsZero()) {
			asked = true
			close(f.first)
		}
		if q != nil && !time.Now().Before(q.due) {
			q.ask(ctx, false)
			continue
		}
		f.pause(ctx, q)
	}
	return nil
}

// next is the question that is due first, by name where several are; nil: there is none.
func (f *facts) next() (first *question) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(f.questions)) {
		if q := f.questions[name]; first == nil || q.due.Before(first.due) {
			first = q
		}
	}
	return first
}

// pause waits until q is due, or others are wanted.
func (f *facts) pause(ctx context.Context, q *question) {
	var due <-chan time.Time
	if q != nil {
		timer := time.NewTimer(time.Until(q.due))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-due:
	case <-f.changed:
	}
}

// await gives the first answers a moment, so that the first report has them already.
func (f *facts) await(ctx context.Context) {
	timer := time.NewTimer(factsFirst)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-f.first:
	}
}
