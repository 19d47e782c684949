package netdial

import (
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
)

// Cooldown remembers which keys, addresses or interfaces, failed lately. While a key cools down it is tried last; each further
// failure doubles the time, and a success clears it. The zero value is ready; safe for concurrent use.
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
)

// Fail starts the cooldown of k, or a longer one.
func (r *Cooldown[K]) Fail(k K, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil || len(r.all) >= cooldownMost {
		r.all = map[K]cooling{}
	}
	was := r.all[k]
	r.all[k] = cooling{until: now.Add(min(cooldownFirst<<min(was.times, 8), faults.CooldownMax)), times: was.times + 1}
}

// Clear ends the cooldown of k and forgets its failures.
func (r *Cooldown[K]) Clear(k K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, k)
}

// Until is the end of the cooldown of k; zero: it has none.
func (r *Cooldown[K]) Until(k K) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all[k].until
}

// sort returns all in their order, but those that cool down last: of them the one first whose time ends first.
func (r *Cooldown[K]) sort(all []K, now time.Time) []K {
	left := func(k K) time.Duration { return max(0, r.Until(k).Sub(now)) }
	sorted := slices.Clone(all)
	sort.SliceStable(sorted, func(i, j int) bool { return left(sorted[i]) < left(sorted[j]) })
	return sorted
}
