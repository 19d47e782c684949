// Package supervise keeps the parts of a long-running program going and says how they are: groups of goroutines that start and
// stop in order, loops that are watched for progress, the service manager, and log lines that do not repeat themselves. It knows
// none of the parts.
package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Part is one running thing of a program.
type Part struct {
	Name string
	Run  func(ctx context.Context) error // returns soon after ctx is done; before that only for a permanent fault
	Stop time.Duration                   // how long Run may take to return after ctx is done; zero: 5 s
}

// Group starts its parts in order and stops them in the reverse order, each only after the one started later has returned:
// what feeds stops before what is fed. The first part that returns by itself stops the group. After oklog/run, with an order.
type Group []Part

// ErrStuck is wrapped by what Run says of a part that did not stop in time.
var ErrStuck = errors.New("did not stop")

type ended struct {
	index int
	err   error
}

// Run blocks until every part has returned. The error joins that of the first part to end by itself, those of others while they
// stopped, and the names of parts that did not stop in time. These are abandoned: a stuck part must not keep the process from
// ending.
func (g Group) Run(ctx context.Context) error {
	ends := make(chan ended, len(g))
	cancels := make([]context.CancelFunc, len(g))
	for i, p := range g {
		// Not a child of ctx: the order of the stop is ours.
		partCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		cancels[i] = cancel
		go func() { ends <- ended{i, p.Run(partCtx)} }()
	}
	stop := stopping{ends: ends, returned: make([]bool, len(g)), g: g}
	select {
	case <-ctx.Done():
	case e := <-ends:
		stop.returned[e.index] = true
		stop.faults = append(stop.faults, fmt.Errorf("%s: %w", g[e.index].Name, orEnded(e.err)))
	}
	for i := len(g) - 1; i >= 0; i-- {
		cancels[i]()
		stop.await(i)
	}
	return errors.Join(stop.faults...)
}

func (p Part) patience() time.Duration {
	if p.Stop == 0 {
		return 5 * time.Second
	}
	return p.Stop
}

// stopping is a group on its way to the end.
type stopping struct {
	g        Group
	ends     <-chan ended
	returned []bool
	faults   []error
}

// await waits for part i, noting others that end meanwhile.
func (s *stopping) await(i int) {
	p := s.g[i]
	timer := time.NewTimer(p.patience())
	defer timer.Stop()
	for !s.returned[i] {
		select {
		case e := <-s.ends:
			s.returned[e.index] = true
			if e.err != nil && !errors.Is(e.err, context.Canceled) {
				s.faults = append(s.faults, fmt.Errorf("%s: %w", s.g[e.index].Name, e.err))
			}
		case <-timer.C:
			s.faults = append(s.faults, fmt.Errorf("%s %w within %s", p.Name, ErrStuck, p.patience()))
			return
		}
	}
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("ended by itself")
	}
	return err
}
