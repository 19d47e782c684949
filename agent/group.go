package agent

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// part is one running thing of the agent.
type part struct {
	name string
	run  func(ctx context.Context) error // returns soon after ctx is done; before that only for a permanent fault
	stop time.Duration                   // how long run may take to return after ctx is done; zero: 5 s
}

// group starts its parts in order and stops them in the reverse order, each only after the one started later has returned:
// what feeds stops before what is fed. The first part that returns by itself stops the group. After oklog/run, with an order.
type group []part

type ended struct {
	index int
	err   error
}

// run blocks until every part has returned. It returns what the first part to end by itself said, and the names of parts
// that did not stop in time (they are abandoned: a stuck part must not keep the process from ending).
func (g group) run(ctx context.Context) error {
	ends := make(chan ended, len(g))
	cancels := make([]context.CancelFunc, len(g))
	for i, p := range g {
		// Not a child of ctx: the order of the stop is ours.
		partCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		cancels[i] = cancel
		go func() { ends <- ended{i, p.run(partCtx)} }()
	}
	returned := make([]bool, len(g))
	var fault error
	select {
	case <-ctx.Done():
	case e := <-ends:
		returned[e.index] = true
		fault = fmt.Errorf("%s: %w", g[e.index].name, orEnded(e.err))
	}
	var stuck []error
	for i := len(g) - 1; i >= 0; i-- {
		cancels[i]()
		if !awaitEnd(ends, returned, i, g[i].patience()) {
			stuck = append(stuck, fmt.Errorf("%s did not stop within %s", g[i].name, g[i].patience()))
		}
	}
	return errors.Join(append([]error{fault}, stuck...)...)
}

func (p part) patience() time.Duration {
	if p.stop == 0 {
		return 5 * time.Second
	}
	return p.stop
}

// awaitEnd waits for part i, noting others that end meanwhile.
func awaitEnd(ends <-chan ended, returned []bool, i int, patience time.Duration) bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for !returned[i] {
		select {
		case e := <-ends:
			returned[e.index] = true
		case <-timer.C:
			return false
		}
	}
	return true
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("ended by itself")
	}
	return err
}
