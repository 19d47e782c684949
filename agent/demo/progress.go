package demo

import (
	"context"
	"time"
)

const (
	countEvery = 2 * time.Second        // frames
	lookEvery  = 250 * time.Millisecond // at the agent
	stepShown  = 200 * time.Millisecond // a beat that changed by less is not printed
)

// progress is what the agent has learnt so far.
type progress struct {
	limit  time.Duration // hidden from the agent
	proven time.Duration // the longest silence
	beat   time.Duration // the longest
	shown  time.Duration // beat that was printed last
	goalAt time.Duration // since the start, when ShareGoal of limit was proven; zero: not yet
}

// saw takes the agent's own word at a time since the start, and reports whether its beat changed so much that it is printed.
func (p *progress) saw(beat, proven, at time.Duration) (print bool) {
	p.proven, p.beat = max(p.proven, proven), max(p.beat, beat)
	if p.goalAt == 0 && float64(p.proven) >= ShareGoal*float64(p.limit) {
		p.goalAt = at
	}
	if (beat - p.shown).Abs() < stepShown {
		return false
	}
	p.shown = beat
	return true
}

// show prints the counter of the frames and the agent's beat as it grows, until ctx ends. Only it touches d.progress meanwhile.
func (d *demo) show(ctx context.Context) {
	count, look := time.NewTicker(countEvery), time.NewTicker(lookEvery)
	defer count.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-count.C:
			d.p.say("frames", "%s", counter(d.tally.soFar()))
		case <-look.C:
			s, err := d.agent.status(ctx)
			if err == nil {
				d.look(s)
			} else if ctx.Err() == nil {
				d.p.say("agent", "%v", err)
			}
		}
	}
}

// look takes one status of the agent.
func (d *demo) look(s status) {
	beat, proven := seconds(s.Heartbeat.IntervalS), seconds(s.Heartbeat.ProvenS)
	if d.progress.saw(beat, proven, time.Since(d.p.start)) {
		d.p.say("beat", "%4.1f s %-33s %4.1f s of silence is proven", beat.Seconds(), bar(beat), proven.Seconds())
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
