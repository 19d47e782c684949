package agent

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// stuckAfter is how long a loop may work on one thing before it counts as stuck. A disk that syncs for seconds is slow; one
// that takes a minute is not coming back.
const stuckAfter = 60 * time.Second

// pulses knows of every loop whether it makes progress, for /healthz and the watchdog. Waiting for work is progress; working
// on one thing for longer than stuckAfter is not. The zero value is ready; safe for concurrent use.
type pulses struct {
	mu    sync.Mutex
	loops map[*pulse]string // guarded by mu; by name
}

// pulse is that of one loop.
type pulse struct {
	all   *pulses
	since atomic.Int64 // Unix ns since when it works on one thing; 0: it waits
}

// of returns the pulse of a loop that starts.
func (p *pulses) of(loop string) *pulse {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loops == nil {
		p.loops = map[*pulse]string{}
	}
	one := &pulse{all: p}
	p.loops[one] = loop
	return one
}

// begin notes that the loop has work, end that it is done with it.
func (p *pulse) begin() { p.since.Store(time.Now().UnixNano()) }
func (p *pulse) end()   { p.since.Store(0) }

// gone forgets a loop that has ended.
func (p *pulse) gone() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	delete(p.all.loops, p)
}

// check names a loop that is stuck. A wall clock that is set makes a loop stuck for one look at most: it is busy for
// milliseconds only.
func (p *pulses) check(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for one, loop := range p.loops {
		since := one.since.Load()
		if d := now.Sub(time.Unix(0, since)); since != 0 && d > stuckAfter {
			return fmt.Errorf("%s has been busy with one thing for %s", loop, d.Round(time.Second))
		}
	}
	return nil
}
