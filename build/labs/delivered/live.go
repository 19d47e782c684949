package delivered

import (
	"fmt"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// outage is a server that is away while a device goes on.
type outage struct {
	away   time.Duration
	rate   int // lines a second
	kills  int // of the agent, while the backlog goes out
	before string
	long   bool
}

// What is promised of it.
const (
	firstWithin = time.Second     // the first live frame after the session is up
	liveWithin  = 2 * time.Second // the 99th percentile of what is read while a backlog goes out
	replayRate  = 64 << 10        // bytes a second; at 16 KiB/s ten minutes of 200 lines a second would take an hour
	spread      = time.Minute     // a backlog begins so late at the most
	lineSize    = 60
	window      = 32 // publishes that a kill may repeat
)

func outages() []outage {
	const before = "the first live frame came after 63 and 66 s at 20 lines/s, after 220 s at 200 lines/s; " +
		"Telegraf 23 s, a pipe 0.25 s"
	return []outage{
		{away: 6 * time.Second, rate: 200, kills: 2, before: before},
		{away: 40 * time.Second, rate: 20, kills: 20, before: before, long: true},
		{away: 40 * time.Second, rate: 200, kills: 20, before: before, long: true},
		{away: 10 * time.Minute, rate: 20, kills: 20, long: true},
		{away: 10 * time.Minute, rate: 200, kills: 20, long: true},
		{away: 35 * time.Second, rate: 1, kills: 3, long: true},
		{away: 3 * time.Minute, rate: 400, kills: 5, long: true},
	}
}

// liveParts: what is read now is not held up.
func liveParts() (all []part) {
	for i, o := range outages() {
		name := fmt.Sprintf("away for %v at %d lines/s", o.away, o.rate)
		all = append(all, part{name: name, long: o.long, run: func(l lab) error {
			return o.run(l, "7 "+name, fmt.Sprint("gw-l", i))
		}})
	}
	return all
}

func (o outage) run(l lab, name, id string) error {
	s, err := l.at(id, place{front: &front{}, devices: []device{{name: "meter", rate: o.rate, size: lineSize}},
		doc: func(d kit.Doc) { d.Set("uplink.replay_rate", "64KiB/s") }})
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return err
	}
	if err := s.start(); err != nil {
		return err
	}
	if err := s.agent.WaitUp(20 * time.Second); err != nil {
		return err
	}
	l.Sleep(4 * time.Second)
	left := time.Now()
	s.p.front.leave()
	l.Sleep(o.away)
	s.p.front.come()
	if err := s.agent.WaitUp(2 * time.Minute); err != nil {
		return err
	}
	up := time.Now()
	if err := o.calm(s); err != nil {
		return err
	}
	rested, err := o.killed(s)
	if err != nil {
		return err
	}
	s.quiet()
	c, err := s.settle(20*time.Second + 2*o.drains() + spread)
	if err != nil {
		return err
	}
	return o.judge(s, c, name, left, up, rested)
}

// drains is how long the backlog takes at the rate, by its bytes on the wire, about.
func (o outage) drains() time.Duration {
	const wire = 200 // bytes of a line as a publish
	return time.Duration(float64(o.rate) * o.away.Seconds() * wire / replayRate * float64(time.Second))
}

// calm lets live frames and the backlog go side by side for a while.
func (o outage) calm(s *stand) error {
	rest := 30 * time.Second
	if !s.o.Full {
		rest = 2 * time.Second
	}
	s.Sleep(rest)
	return s.Ctx.Err()
}

// killed kills the agent again and again while the backlog goes out. The device pauses for each: what a kill takes from the
// middle of a line is no matter of this laboratory. It returns when the first of them was.
func (o outage) killed(s *stand) (first time.Time, err error) {
	first = time.Now()
	for range o.kills {
		s.quiet()
		s.Sleep(300 * time.Millisecond)
		s.agent.Kill()
		if err := s.agent.Start(); err != nil {
			return first, err
		}
		s.resume()
		if err := s.agent.WaitUp(time.Minute); err != nil {
			return first, err
		}
		s.Sleep(time.Second)
	}
	return first, nil
}

// judge: left and up are when the server went and when the session was up again, rested when the kills began.
func (o outage) judge(s *stand, c count, name string, left, up, rested time.Time) error {
	wrote := s.wrote("meter")
	var first time.Duration
	var live []time.Duration
	var last time.Time
	for i, at := range wrote {
		came := c.at[i+1]
		switch {
		case came.IsZero():
		case at.Before(up) && at.After(left):
			if came.After(last) {
				last = came
			}
		case at.After(up) && at.Before(rested):
			if first == 0 {
				first = came.Sub(up)
			}
			live = append(live, came.Sub(at))
		}
	}
	slices.Sort(live)
	if len(live) == 0 {
		return fmt.Errorf("no live frame came")
	}
	p99 := live[len(live)*99/100]
	note := fmt.Sprintf("%s; now: %v; the backlog was through %.0f s after the session came up", o.said(), c,
		last.Sub(up).Seconds())
	s.t.Exactly(name+": frames lost", max(0, c.missing()), 0, "", note)
	s.t.Within(name+": first live frame after the session was up", first.Seconds(), firstWithin.Seconds(), "s")
	s.t.Within(name+": 99 % of the live frames beside the backlog", p99.Seconds(), liveWithin.Seconds(), "s")
	s.t.Exactly(name+": frames twice beyond the window of each kill", max(0, c.twice-window*(o.kills+1)), 0, "",
		fmt.Sprintf("%d came twice over %d kills", c.twice, o.kills))
	s.t.Info(name+": frames twice", float64(c.twice), "")
	if o.away > 30*time.Second {
		most := spread + time.Duration(o.kills)*(spread/2+3*time.Second) + 2*o.drains()
		s.t.Within(name+": backlog through", last.Sub(up).Seconds(), most.Seconds(), "s")
	}
	_, code, err := s.command(time.Minute, "diag")
	if err != nil {
		return err
	}
	s.t.Exactly(name+": diag exits", code, 0, "", "")
	return nil
}

func (o outage) said() string {
	if o.before == "" {
		return "an example of our own"
	}
	return "before: " + o.before
}
