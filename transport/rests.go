package transport

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// rests remembers what failed lately, addresses or interfaces. Each rests for longer each time, and is tried last meanwhile; what
// works is forgiven. The zero value is ready; safe for concurrent use.
type rests[K comparable] struct {
	mu  sync.Mutex
	all map[K]rest
}

type rest struct {
	until time.Time
	times int
}

const (
	restFirst = 30 * time.Second // of an address or an interface
	restsMost = 64               // that are remembered
	restsMax  = 10 * time.Minute // the longest
)

// failed lets k rest.
func (r *rests[K]) failed(k K, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil || len(r.all) >= restsMost {
		r.all = map[K]rest{}
	}
	was := r.all[k]
	r.all[k] = rest{until: now.Add(min(restFirst<<min(was.times, 8), restsMax)), times: was.times + 1}
}

// fine forgives k.
func (r *rests[K]) fine(k K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, k)
}

// until is when k has rested; zero: it need not.
func (r *rests[K]) until(k K) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[k].until
}

// sorted is all in their order, but those that rest last, the most rested of them first.
func (r *rests[K]) sorted(all []K, now time.Time) []K {
	left := func(k K) time.Duration { return max(0, r.until(k).Sub(now)) }
	sorted := slices.Clone(all)
	slices.SortStableFunc(sorted, func(a, b K) int { return cmp.Compare(left(a), left(b)) })
	return sorted
}
