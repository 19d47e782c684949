package delivered

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

const year = 365 * 24 * time.Hour

// jump is what a wall clock does to frames that wait on the disk: at a restart, and while the agent is up.
type jump struct {
	name string
	to   []time.Duration // from now, one after the other
	own  bool
}

// since is how far a date is from now.
func since(y int) time.Duration { return time.Until(time.Date(y, 3, 1, 0, 0, 0, 0, time.UTC)) }

func jumps() []jump {
	return []jump{
		{name: "+10 years", to: []time.Duration{10 * year}},
		{name: "2061", to: []time.Duration{since(2061)}},
		{name: "1970", to: []time.Duration{since(1970)}},
		{name: "back and forth", to: []time.Duration{10 * year, since(1970), since(2061), 0}},
		{name: "8 days ahead, which is more than max_age", to: []time.Duration{8 * 24 * time.Hour}, own: true},
		{name: "a day back, and 9 days ahead", to: []time.Duration{-24 * time.Hour, 9 * 24 * time.Hour, 0}, own: true},
	}
}

// clockParts: frames wait on the disk for a server that is away, while the clock jumps.
func clockParts() (all []part) {
	for i, j := range jumps() {
		for _, boot := range []bool{true, false} {
			name := "clock, " + j.name + map[bool]string{true: ", at the start", false: ", while up"}[boot]
			all = append(all, part{name: name, long: true, run: func(l lab) error {
				return j.run(l, name, fmt.Sprintf("gw-c%d%v", i, boot), boot)
			}})
		}
	}
	return all
}

func (j jump) run(l lab, name, id string, boot bool) error {
	s, err := l.at(id, place{skewed: true, front: &front{}, devices: []device{{name: "meter", rate: 20, size: 60}}})
	if s != nil {
		defer s.end()
	}
	if err != nil {
		return err
	}
	s.p.front.leave()
	if err := s.start(); err != nil {
		return err
	}
	const each = 3 * time.Second
	l.Sleep(each)
	for _, to := range j.to {
		if err := s.jump(to, boot); err != nil {
			return err
		}
		l.Sleep(each)
	}
	s.quiet()
	l.Sleep(time.Second)
	s.p.front.come()
	c, err := s.settle(3 * time.Minute)
	if err != nil {
		return err
	}
	before := "before: what waited was dropped as too old after a restart"
	if j.own {
		before = "an example of our own"
	}
	name = "6 " + name
	note := before + "; now: " + c.String()
	l.t.Exactly(name+": frames lost", max(0, c.missing()), 0, "", note)
	l.t.Exactly(name+": frames twice", c.twice, 0, "", note)
	st, err := s.agent.Status()
	if err != nil {
		return err
	}
	l.t.Exactly(name+": dropped for their age", int(st.Spool.Evicted), 0, "", "")
	_, code, err := s.command(time.Minute, "diag")
	if err != nil {
		return err
	}
	if j.to[len(j.to)-1] == 0 { // else it may say that the clock is wrong
		l.t.Exactly(name+": diag exits", code, 0, "", "")
	}
	return nil
}

// jump moves the agent's clock, over a restart or under its feet.
func (s *stand) jump(to time.Duration, boot bool) error {
	if !boot {
		return s.agent.Proc().Skew(s.skewed, to)
	}
	s.quiet()
	s.Sleep(500 * time.Millisecond) // so that no line is torn: a framer forgets what it has of one
	s.agent.Kill()
	s.agent.Use("env", fmt.Sprintf("%s=%d", kit.Skewed, int64(to.Seconds())), s.skewed)
	if err := s.agent.Start(); err != nil {
		return err
	}
	s.resume()
	return nil
}
