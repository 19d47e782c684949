package demo

import (
	"context"
	"time"
)

// The figures of the demo. A real carrier forgets after two to thirty minutes; this one is in a hurry, so that a person can
// watch it.
const (
	natIdle      = 4 * time.Second
	natLatency   = 40 * time.Millisecond
	beatInterval = 3 * time.Second
	detectWithin = 6 * time.Second
	cutFor       = 3 * time.Second // less than natIdle, or the cut would cost the mapping too

	endingTakes = 2 * time.Second  // drain and stop
	shortStory  = 17 * time.Second // all but the restart of the NAT, once
	longStory   = 65 * time.Second // from here on: everything, again and again
)

// act is a part of the story.
type act int

const (
	actPlay    act = iota // the device talks
	actQuiet              // it does not, for longer than the NAT remembers
	actCommand            // the fleet writes to the device
	actCut                // nothing passes the NAT, and the device talks
	actForget             // the NAT is restarted, and forgets every connection
)

// scene is an act and how long it lasts; zero: until the end.
type scene struct {
	act  act
	last time.Duration
}

// script returns the scenes for a demo that may last so long without its start and end (zero: until ctrl-C), and whether
// they are played again and again.
func script(last time.Duration) (scenes []scene, again bool) {
	switch {
	case last == 0 || last >= longStory:
		return []scene{{actPlay, 10 * time.Second}, {actQuiet, 2 * natIdle}, {actCommand, 0}, {actPlay, 8 * time.Second},
			{actCut, cutFor}, {actPlay, 8 * time.Second}, {actForget, detectWithin + 6*time.Second}}, true
	case last >= shortStory:
		return []scene{{actPlay, 3 * time.Second}, {actQuiet, natIdle + 2*time.Second}, {actCommand, 0},
			{actPlay, 3 * time.Second}, {actCut, cutFor}, {actPlay, 0}}, false
	}
	third := last / 3
	return []scene{{actPlay, third}, {actCut, min(third, cutFor)}, {actPlay, 0}}, false
}

// perform plays scenes until ctx ends.
func perform(ctx context.Context, scenes []scene, again bool, do func(context.Context, scene)) {
	for ctx.Err() == nil {
		for _, s := range scenes {
			if ctx.Err() == nil {
				do(ctx, s)
			}
		}
		if !again {
			<-ctx.Done()
		}
	}
}

// rest waits for d, or for the end of ctx.
func rest(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
