package outage

import (
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// run cuts the path for a while and wants the same connection to go on, soon after the path is back.
func (c Survived) run(e *kit.Env, id string, t *kit.Table) error {
	s, err := newSite(e, id, outstanding, true, c.DetectWithin, 2*time.Second)
	if err != nil {
		return fmt.Errorf("cut of %v: %w", c.Cut, err)
	}
	defer s.close()
	ctx, stop := context.WithCancel(e.Ctx)
	defer stop()
	if !c.Idle {
		s.load(ctx, outstanding)
	}
	e.Sleep(settle)
	_, _, drops := s.server()
	port, _, err := s.port()
	if err != nil {
		return fmt.Errorf("cut of %v: %w", c.Cut, err)
	}
	if err := s.lab.Cut(s.lab.ServerIPs[0]); err != nil {
		return err
	}
	e.Sleep(c.Cut)
	acked := s.acked()
	if err := s.lab.Heal(s.lab.ServerIPs[0]); err != nil {
		return err
	}
	healed := time.Now()
	kind := "frames flow"
	if c.Idle {
		kind = "idle"
	}
	name := fmt.Sprintf("cut of %v, %s, detect_within %v", c.Cut, kind, c.DetectWithin)
	limit := max(time.Second, c.DetectWithin/6) + time.Second
	if c.Idle {
		e.Sleep(limit)
	} else {
		err := e.Until("a PUBACK", limit+15*time.Second, func() bool { return s.acked() > acked })
		if err != nil {
			t.Check(name+": answers", err)
			return nil
		}
		t.Within(name+": answers", time.Since(healed).Seconds(), (limit + look).Seconds(), "s")
	}
	t.Check(name+": the same TCP connection goes on", s.same(port, drops))
	return nil
}

// acked is the count of acknowledged records; -1 when the page does not answer.
func (s *site) acked() int64 {
	st, err := s.agent.Status()
	if err != nil {
		return -1
	}
	return st.Spool.Acked
}

// same wants the connection of that local port, no loss counted, and no second CONNECT in the broker's log.
func (s *site) same(port int, drops int64) error {
	now, _, err := s.port()
	if err != nil {
		return err
	}
	up, url, d := s.server()
	switch {
	case now != port:
		return fmt.Errorf("local port %d before, %d after", port, now)
	case !up || url != s.brokers[0].URL() || d != drops:
		return fmt.Errorf("up %v at %s, %d drops (%d before)", up, url, d, drops)
	case s.brokers[0].Connects(s.id) != 1 || s.brokers[1].Connects(s.id) != 0:
		return fmt.Errorf("%d CONNECTs at the first server, %d at the second", s.brokers[0].Connects(s.id),
			s.brokers[1].Connects(s.id))
	}
	return nil
}
