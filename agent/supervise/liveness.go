package supervise

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// StuckAfter is how long a loop may work on one thing before it counts as stuck. A disk that syncs for seconds is slow; one
// that takes a minute is not coming back.
const StuckAfter = 60 * time.Second

// Liveness knows of every loop whether it makes progress, for /healthz and the watchdog. Waiting for work is progress; working
// on one thing for longer than StuckAfter is not. The zero value is ready; safe for concurrent use.
type Liveness struct {
	mu    sync.Mutex
	loops map[*Loop]string // guarded by mu; by name
}

// Loop is one loop that is watched. Safe for concurrent use.
type Loop struct {
	all   *Liveness
	start time.Time
	since atomic.Int64 // ns from start to when it began to work on one thing; 0: it waits
}

// Loop is called when a loop of that name starts. Loops may share a name.
func (p *Liveness) Loop(name string) *Loop {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.loops == nil {
		p.loops = map[*Loop]string{}
	}
	one := &Loop{all: p, start: time.Now()}
	p.loops[one] = name
	return one
}

// Begin is called when the loop has work.
func (p *Loop) Begin() { p.since.Store(max(1, int64(time.Since(p.start)))) }

// End is called when it is done with it.
func (p *Loop) End() { p.since.Store(0) }

// Gone forgets a loop that has ended.
func (p *Loop) Gone() {
	p.all.mu.Lock()
	defer p.all.mu.Unlock()
	delete(p.all.loops, p)
}

// Check returns an error that names a loop that is stuck, or nil. now is a time.Now: only its monotonic part counts.
func (p *Liveness) Check(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for one, loop := range p.loops {
		since := one.since.Load()
		if d := now.Sub(one.start) - time.Duration(since); since != 0 && d > StuckAfter {
			return fmt.Errorf("%s has been busy with one thing for %s", loop, d.Round(time.Second))
		}
	}
	return nil
}
