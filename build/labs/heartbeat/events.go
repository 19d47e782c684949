package heartbeat

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

// Event is something that happens to a path that was learnt, and how long the gateway may be dark then.
type Event struct {
	Name      string
	Behaviour netlab.Behaviour
	Canary    string
	Happens   func(*site) error
	Dark      time.Duration // 0: it must not be dark at all
	Settles   time.Duration // the limit afterwards; 0: as before
}

const eventLimit = 10 * time.Second

func events() []Event {
	flush := func(s *site) error { return s.nat.Flush() }
	shrink := func(s *site) error { return s.nat.SetLimit(eventLimit / 2) }
	grow := func(s *site) error { return s.nat.SetLimit(2 * eventLimit) }
	strict := eventLimit + detectWithin + 5*time.Second
	return []Event{
		{Name: "NAT reboots", Behaviour: netlab.Strict, Happens: flush, Dark: strict},
		{Name: "NAT reboots", Behaviour: netlab.ClientRST, Happens: flush, Dark: strict},
		{Name: "limit shrinks to half", Behaviour: netlab.Strict, Happens: shrink, Dark: strict, Settles: eventLimit / 2},
		{Name: "limit shrinks to half, canary 5", Behaviour: netlab.LooseSilent, Canary: "5", Happens: shrink,
			Dark: 6 * eventLimit, Settles: eventLimit / 2},
		{Name: "limit grows to twice", Behaviour: netlab.Strict, Happens: grow},
		{Name: "link cut for 4 s", Behaviour: netlab.Strict, Happens: func(s *site) error {
			if err := s.nat.Cut(); err != nil {
				return err
			}
			s.e.Sleep(4 * time.Second)
			return s.nat.Heal()
		}},
	}
}

func (v Event) name() string { return fmt.Sprintf("%s: %s", v.Name, v.Behaviour) }

// run learns, lets it happen, and measures until commands come through again at once: a command is sent each second; dark is
// the time from the event to the first of three in a row that are on time.
func (v Event) run(e *kit.Env, id string, t *kit.Table) error {
	s, err := newSite(e, id, v.Behaviour, eventLimit, func(d kit.Doc) {
		if v.Canary != "" {
			d.Set("heartbeat.canary", v.Canary)
		}
	})
	if err != nil {
		return err
	}
	defer s.close()
	before, _, err := s.settled(settleBy*eventLimit + time.Minute)
	t.Check(v.name()+": settled before", err)
	if err != nil {
		return nil
	}
	err = e.Until(v.name()+": the planned re-dial", time.Minute, func() bool {
		// or the event meets a connection that is left anyway
		st, err := s.agent.Status()
		return err == nil && st.Uplink.Redials > 0 && st.Uplink.State == "up"
	})
	if err != nil {
		return err
	}
	if err := v.Happens(s); err != nil {
		return err
	}
	if v.Dark == 0 {
		e.Sleep(3 * eventLimit)
		after, err := s.agent.Status()
		if err != nil {
			return err
		}
		t.Exactly(v.name()+": drops", int(after.Uplink.Drops-before.Uplink.Drops), 0, "", after.Why)
		return nil
	}
	return v.dark(s, t)
}

// dark waits, silent, until the agent has noticed by itself, and then until it has learnt anew.
func (v Event) dark(s *site, t *kit.Table) error {
	start := time.Now()
	err := s.e.Until(v.name()+": noticed", 2*v.Dark, func() bool {
		st, err := s.agent.Status()
		return err == nil && st.Heartbeat.IntervalS <= 2 && st.Uplink.State == "up"
	})
	took := time.Since(start)
	t.Check(v.name()+": noticed", err)
	t.Within(v.name()+": dark for", took.Seconds(), v.Dark.Seconds(), "s")
	ok, err := s.command(onTime)
	if err != nil {
		return err
	}
	if !ok {
		err = fmt.Errorf("a command right after was late")
	}
	t.Check(v.name()+": a command comes through", err)
	if v.Settles > 0 {
		st, _, err := s.settled(settleBy*eventLimit + time.Minute)
		t.Check(v.name()+": settled again", err)
		if err == nil {
			t.AtLeast(v.name()+": interval / new limit", st.Heartbeat.IntervalS/v.Settles.Seconds(), 0.75, "")
		}
	}
	return nil
}
