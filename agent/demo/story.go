package demo

import (
	"context"
	"time"
)

// The figures of the demo, beside the limit of limit.go.
const (
	natLatency   = 40 * time.Millisecond
	beatLeast    = time.Second // the agent's first beat; the configuration allows no shorter one
	detectWithin = 6 * time.Second
	cutFor       = 3 * time.Second // less than limitLeast, or the cut would cost the mapping too

	leadFor     = time.Second                                         // the device talks before it falls silent
	quietFor    = limitMost + 500*time.Millisecond                    // a silence that outlasts every limit
	afterCut    = 2 * time.Second                                     // the device talks after the cut
	forgetFor   = detectWithin + 6*time.Second                        // until the agent is back after the restart of the NAT
	endingTakes = 2 * time.Second                                     // drain and stop
	lastCommand = 1500 * time.Millisecond                             // before the end, or later: none that could not be answered
	shortStory  = leadFor + quietFor + cutFor + 2500*time.Millisecond // all but the restart of the NAT, once
	longStory   = 65 * time.Second                                    // from here on: everything, repeated
	longMiddle  = 13 * time.Second                                    // of it: the device talks before the cut
)

// act is a part of the story.
type act int

const (
	actPlay   act = iota // the device talks
	actQuiet             // it does not, for longer than the NAT remembers; then commands begin
	actCut               // nothing passes the NAT, and the device talks
	actForget            // the NAT is restarted, and forgets every connection; commands pause
)

// scene is an act and how long it lasts; zero: until the end.
type scene struct {
	act  act
	last time.Duration
}

// script returns the scenes for a demo that may last so long without its start and end (zero: until ctrl-C), and whether
// they are repeated.
func script(last time.Duration) (scenes []scene, again bool) {
	switch {
	case last == 0 || last >= longStory:
		return []scene{{actPlay, leadFor}, {actQuiet, quietFor}, {actPlay, longMiddle}, {actCut, cutFor},
			{actPlay, 4 * afterCut}, {actForget, forgetFor}}, true
	case last >= shortStory: // the cut is late: by then the limit is found, if there was time for it
		middle := last - leadFor - quietFor - cutFor - afterCut
		return []scene{{actPlay, leadFor}, {actQuiet, quietFor}, {actPlay, middle}, {actCut, cutFor}, {actPlay, 0}}, false
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

// wait returns after d, or at the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
