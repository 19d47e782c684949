package agent

import (
	"context"
	"time"

	"github.com/linkbeat/linkbeat/agent/supervise"
)

// guard feeds the watchdog of the service manager while the loops make progress, until ctx is done.
func (a *Agent) guard(ctx context.Context) error {
	interval := supervise.WatchdogInterval()
	if interval == 0 {
		interval = supervise.StuckAfter / 2
	}
	loop := a.liveness.Loop("status")
	defer loop.Gone()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			loop.Begin()
			a.look()
			loop.End()
			a.feed()
		}
	}
}

// look makes a status, which takes every lock there is: a part that never lets one go stops the guard, its loop with it, and so
// the watchdog is not fed and /healthz says why.
func (a *Agent) look() {
	if u := a.uplink(); u != nil {
		u.status()
	}
}

func (a *Agent) feed() {
	if err := a.healthy(); err != nil {
		a.log.Error().Err(err).Msg("a loop is stuck, the watchdog is not fed")
		return
	}
	a.say("WATCHDOG=1")
}

// healthy is nil while the loops make progress: what the watchdog is fed by, and what /healthz says.
func (a *Agent) healthy() error { return a.liveness.Check(time.Now()) }
