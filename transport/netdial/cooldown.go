package netdial

import (
	"slices"
	"sort"
	"sync"
	"time"
)

// Cooldown remembers what failed lately, addresses or interfaces. Each rests for longer each time, and is tried last meanwhile;
// what works is forgiven. The zero value is ready; safe for concurrent use.
type Cooldown[K comparable] struct {
	mu  sync.Mutex
	all map[K]cooling
}

type cooling struct {
	until time.Time
	times int
}

const (
	cooldownFirst = 30 * time.Second // of an address or an interface
	cooldownMost  = 64               // that are remembered
	cooldownMax   = 10 * time.Minute // the longest
)

// Fail lets k rest.
func (r *Cooldown[K]) Fail(k K, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil || len(r.all) >= cooldownMost {
		r.all = map[K]cooling{}
	}
	was := r.all[k]
	r.all[k] = cooling{until: now.Add(min(cooldownFirst<<min(was.times, 8), cooldownMax)), times: was.times + 1}
}

// Clear forgives k.
func (r *Cooldown[K]) Clear(k K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, k)
}

// Until is when k has rested; zero: it need not.
func (r *Cooldown[K]) Until(k K) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[k].until
}

// sort is all in their order, but those that rest last, the most rested of them first.
func (r *Cooldown[K]) sort(all []K, now time.Time) []K {
	left := func(k K) time.Duration { return max(0, r.Until(k).Sub(now)) }
	sorted := slices.Clone(all)
	sort.SliceStable(sorted, func(i, j int) bool { return left(sorted[i]) < left(sorted[j]) })
	return sorted
}
