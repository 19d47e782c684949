package outage

import (
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

const (
	// look is added to every limit: the poll of /status (20 ms), nft (10 ms), the scheduler of a loaded two-core machine.
	look = 400 * time.Millisecond
	// atOnce is how soon after the loss the next server must have seen our CONNECT.
	atOnce = time.Second
	// settle lets the first frames and beats of a link pass before it dies.
	settle = 1500 * time.Millisecond
	// stalled is how many bytes must lie unacknowledged or unread for a send buffer to count as full.
	stalled = 64 << 10
)

// run kills the link and measures how long it takes the agent to know, and to be at the next server.
func (n Noticed) run(e *kit.Env, id string, t *kit.Table) error {
	s, err := newSite(e, id, n.Load, n.Death == silent, n.DetectWithin, n.Interval)
	if err != nil {
		return fmt.Errorf("%s, %s: %w", n.Death, n.Load, err)
	}
	defer s.close()
	ctx, stop := context.WithCancel(e.Ctx)
	defer stop()
	if n.Load == outstanding {
		s.load(ctx, n.Load)
	}
	e.Sleep(settle)
	_, _, before := s.server()
	if err := n.strike(s); err != nil {
		return err
	}
	died := time.Now()
	if n.Load == full { // only now: what is written before is acknowledged
		s.load(ctx, n.Load)
	}
	limit := n.DetectWithin
	if n.Load == idle {
		limit += n.Interval
	}
	name := fmt.Sprintf("%s, %s, detect_within %v", n.Death, n.Load, n.DetectWithin)
	queued := int64(0)
	err = e.Until("the loss", limit+10*time.Second, func() bool {
		if _, tx, err := s.port(); err == nil {
			queued = max(queued, tx)
		}
		up, _, drops := s.server()
		return !up || drops > before
	})
	noticed := time.Since(died)
	if err != nil {
		t.Check(name+": noticed", err)
		return nil
	}
	t.Within(name+": noticed", noticed.Seconds(), (limit + look).Seconds(), "s")
	if n.Load == full {
		t.AtLeast(name+": bytes stuck in the send buffer", float64(queued), stalled, "bytes")
	}
	err = s.brokers[1].WaitConnect(s.id, 1, 20*time.Second)
	if err != nil {
		t.Check(name+": next server", err)
		return nil
	}
	t.Within(name+": then CONNECT at the next server", (time.Since(died) - noticed).Seconds(), atOnce.Seconds(), "s")
	return nil
}

func (n Noticed) strike(s *site) error {
	if n.Death == frozen {
		return s.brokers[0].Freeze()
	}
	return s.lab.Cut(s.lab.ServerIPs[0])
}
