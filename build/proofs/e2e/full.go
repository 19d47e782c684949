package e2e

import (
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// flooded is how many frames come while the broker is away: far more than the small spool holds.
const flooded = 4000

// FullSpool lets a small spool overflow during an outage: what it dropped must be told by gap records, number for number.
func FullSpool(e *kit.Env, t *kit.Table) error {
	for _, policy := range []string{"drop_oldest", "drop_newest"} {
		if err := overflow(e, policy, t); err != nil {
			return fmt.Errorf("%s: %w", policy, err)
		}
	}
	return nil
}

func overflow(e *kit.Env, policy string, t *kit.Table) error {
	r, err := newRig(e, rigOptions{id: "gw-full-" + policy, scheme: "mqtt", devices: []string{"meter"},
		more: func(d kit.Doc) { d.Set("spool.max_bytes", "128KiB").Set("spool.when_full", policy) }})
	if err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	if err := r.relays("meter", "first"); err != nil {
		return err
	}
	if err := r.broker.Stop(); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(e.Ctx, time.Minute)
	defer stop()
	if err := (&kit.Numbered{Rate: 2000, Size: 100}).Run(ctx, r.ttys["meter"], flooded); err != nil {
		return err
	}
	err = e.Until("all frames to be read", 10*time.Second, func() bool {
		s, err := r.agent.Status()
		return err == nil && s.Serial["meter"].Framed == flooded+1
	})
	if err != nil {
		return err
	}
	if err := r.broker.Start(); err != nil {
		return err
	}
	if err := r.agent.WaitUp(20 * time.Second); err != nil {
		return err
	}
	if err := r.agent.Drained(30 * time.Second); err != nil {
		return err
	}
	if err := r.relays("meter", "last"); err != nil {
		return err
	}
	return r.accounts(policy, t)
}

// accounts wants every number of the stream either as a record or inside a gap, never both, and as many frames lost as
// were written and did not come.
func (r *rig) accounts(policy string, t *kit.Table) error {
	tally, err := r.data("meter")
	if err != nil {
		return err
	}
	state := map[uint64]string{}
	top, lost, twice := uint64(0), 0, 0
	enter := func(n uint64, what string) {
		if state[n] != "" {
			twice++
		}
		state[n] = what
		top = max(top, n)
	}
	for _, f := range tally.Records {
		enter(f.Seq, "came")
		if f.Gap == nil {
			continue
		}
		for n := f.Gap.From; n <= f.Gap.To; n++ {
			enter(n, "lost")
			lost++
		}
	}
	untold := 0
	for n := uint64(1); n <= top; n++ {
		if state[n] == "" {
			untold++
		}
	}
	came := len(tally.Data())
	t.AtLeast(policy+": frames that the full spool dropped", float64(lost), 1, "frames")
	t.Exactly(policy+": frames that came + lost in gap records", came+lost, flooded+2, "frames", "")
	t.Exactly(policy+": numbers neither came nor told as lost", untold, 0, "numbers", "")
	t.Exactly(policy+": numbers told twice", twice, 0, "numbers", "")
	s, err := r.agent.Status()
	if err != nil {
		return err
	}
	t.Check(policy+": every counter balances", balance(s))
	return r.agent.Term()
}
