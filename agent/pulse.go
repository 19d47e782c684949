package agent

import (
	"fmt"
	"sync"
	"time"
)

// stuckAfter is how long a loop may work on one thing before it counts as stuck. A disk that syncs for seconds is slow; one
// that takes a minute is not coming back.
const stuckAfter = 60 * time.Second

// pulses knows of every loop whether it makes progress, for /healthz and the watchdog. Waiting for work is progress; working
// on one thing for longer than stuckAfter is not. The zero value is ready; safe for concurrent use.
type pulses struct {
	mu   sync.Mutex
	busy map[string]time.Time // since when; absent: waiting
}

// begin notes that a loop has work; the returned func notes that it is done.
func (p *pulses) begin(loop string) (done func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy == nil {
		p.busy = map[string]time.Time{}
	}
	p.busy[loop] = time.Now()
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.busy, loop)
	}
}

// check names a loop that is stuck.
func (p *pulses) check(now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for loop, since := range p.busy {
		if d := now.Sub(since); d > stuckAfter {
			return fmt.Errorf("%s has been busy with one thing for %s", loop, d.Round(time.Second))
		}
	}
	return nil
}
