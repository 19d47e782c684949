package heartbeat

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

const glance = 20 * time.Second // how often a client is looked at

// client is a policy that can be tried: it keeps a connection to a server of w until ctx ends, and hands commands to w.heard.
type client interface {
	run(ctx context.Context, w *world)
	interval() time.Duration
	drops() []time.Time
}

// result is what a client did on a path.
type result struct {
	path      path
	days      float64
	drops     int // that no weather explains
	late      int // commands, of commanded
	commanded int
	final     time.Duration // time-weighted median of the last day
	lastDay   int64         // bytes
}

// try runs a client for a while.
func try(t *testing.T, p path, c client, length time.Duration) (r result) {
	inWorld(t, p, func(_ *testing.T, w *world) {
		ctx, cancel := context.WithCancel(w.ctx)
		var wg sync.WaitGroup
		wg.Go(func() { c.run(ctx, w) })
		synctest.Wait()
		r = result{path: p, days: length.Hours() / 24}
		last := w.start.Add(length - 24*time.Hour)
		var seen []time.Duration
		w.pass(time.Until(last), glance, nil)
		before := w.bytes()
		w.pass(24*time.Hour, glance, func(time.Time) { seen = append(seen, c.interval()) })
		r.lastDay = w.bytes() - before
		slices.Sort(seen)
		r.final = seen[len(seen)/2]
		for _, at := range c.drops() {
			if !w.troubled(at) {
				r.drops++
			}
		}
		r.late, r.commanded = w.late, w.commanded
		cancel()
		wg.Wait()
	})
	return r
}

// reach runs ours until it has proven a part of the limit, and says after how many limits; 99: not within most of them.
func reach(t *testing.T, p path, o *ours, parts []float64, most float64) []float64 {
	after := make([]float64, len(parts))
	inWorld(t, p, func(_ *testing.T, w *world) {
		ctx, cancel := context.WithCancel(w.ctx)
		var wg sync.WaitGroup
		wg.Go(func() { o.run(ctx, w) })
		synctest.Wait()
		limit := p.reachable()
		for i := range after {
			after[i] = 99
		}
		w.pass(time.Duration(most*float64(limit)), 100*time.Millisecond, func(now time.Time) {
			proven := o.link.Status().Heartbeat.Proven
			for i, part := range parts {
				if after[i] == 99 && float64(proven) >= part*float64(limit) {
					after[i] = float64(now.Sub(w.start)) / float64(limit)
				}
			}
		})
		cancel()
		wg.Wait()
	})
	return after
}

// side runs job n times, on all processors.
func side(n int, job func(i int)) {
	var jobs []func() error
	for i := range n {
		jobs = append(jobs, func() error { job(i); return nil })
	}
	_ = kit.SideBySide(runtime.NumCPU(), jobs) // no job fails
}
