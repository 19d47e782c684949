package heartbeat

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

const (
	onTime     = 2 * time.Second
	onTimeLoss = 4 * time.Second
	settleBy   = 30 // limits
)

func (c Cell) name() string {
	if c.Loss > 0 {
		return fmt.Sprintf("%v, %s, %d %% loss", c.Limit, c.Behaviour, c.Loss)
	}
	return fmt.Sprintf("%v, %s", c.Limit, c.Behaviour)
}

// run lets an agent learn the NAT, then sends it commands.
func (c Cell) run(e *kit.Env, id string, commands int, t *kit.Table) error {
	s, err := newSite(e, id, c.Behaviour, c.Limit, nil)
	if err != nil {
		return err
	}
	defer s.close()
	if c.Loss > 0 {
		if err := s.nat.Lose(c.Loss); err != nil {
			return err
		}
	}
	st, took, err := s.settled(settleBy*c.Limit + time.Minute)
	t.Check(c.name()+": settled", err)
	if err != nil {
		return nil // said; the other cells go on
	}
	t.Info(c.name()+": settled after", took.Seconds()/c.Limit.Seconds(), "limits")
	t.Exactly(c.name()+": drops while learning", int(st.Uplink.Drops), 0, "", st.Why)
	t.AtLeast(c.name()+": interval / limit", st.Heartbeat.IntervalS/c.Limit.Seconds(), goals[c.Limit], "")
	late, err := c.commands(s, commands)
	if err != nil {
		return err
	}
	t.Exactly(c.name()+": commands late or lost", late, 0, fmt.Sprintf("of %d", commands), "")
	after, err := s.agent.Status()
	if err != nil {
		return err
	}
	t.Exactly(c.name()+": drops while commands came", int(after.Uplink.Drops-st.Uplink.Drops), 0, "", after.Why)
	return nil
}

func (c Cell) commands(s *site, n int) (late int, err error) {
	within := onTime
	if c.Loss > 0 {
		within = onTimeLoss
	}
	for range n {
		s.e.Sleep(time.Duration(rand.Float64() * 1.3 * float64(c.Limit)))
		if s.e.Ctx.Err() != nil {
			return late, errors.New("out of time")
		}
		ok, err := s.command(within)
		if err != nil {
			return late, err
		}
		if !ok {
			late++
		}
	}
	return late, nil
}
