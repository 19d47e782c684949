package relay

import (
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// station is one agent with a device and a subscriber.
type station struct {
	e     *kit.Env
	agent *kit.Agent
	tty   *kit.Pty
	sub   *kit.Collector
}

// newStation starts an agent; argv is its program, nil: that of this tree.
func newStation(e *kit.Env, b *kit.Broker, id string, argv []string, more func(kit.Doc)) (*station, error) {
	s := &station{e: e}
	var err error
	if s.tty, err = e.Pty(id); err != nil {
		return nil, err
	}
	topic := "lb/" + id + "/up/data/" + device
	if s.sub, err = e.Collect(kit.CollectOptions{URL: b.URL(), ID: id + "-books", Filters: []string{topic}}); err != nil {
		return nil, err
	}
	doc := kit.NewDoc(id, b.URL()).Line(device, s.tty.Port).Set("uplink.window", window)
	if more != nil {
		more(doc)
	}
	if s.agent, err = e.Agent(kit.AgentOptions{Doc: doc, Argv: argv}); err != nil {
		return nil, err
	}
	return s, s.agent.StartUp()
}

// round measures linkbeat the way bareLoop.round measures the limit.
func (s *station) round(o Options, f *side) error {
	before, err := s.agent.Proc().CPU()
	if err != nil {
		return err
	}
	start, arrived := time.Now(), s.sub.Count()
	if err := s.flood(o.Frames); err != nil {
		return err
	}
	got := s.sub.Arrivals()[arrived:]
	f.perSecond = append(f.perSecond, float64(len(got))/got[len(got)-1].At.Sub(start).Seconds())
	after, err := s.agent.Proc().CPU()
	if err != nil {
		return err
	}
	f.cpu += (after - before).Seconds()
	late, err := s.paced(o.Paced)
	f.latency(late)
	return err
}

// written is what the spool put on the disk so far.
func (s *station) written() (int64, error) {
	st, err := s.agent.Status()
	if err != nil {
		return 0, err
	}
	return st.Spool.WrittenBytes, nil
}

// flood writes as fast as the kernel takes it, but never more than a fixed number of frames ahead of what arrived.
func (s *station) flood(frames int) error {
	before := s.sub.Count()
	for n := 1; n <= frames; n++ {
		if n%100 == 0 {
			for n-(s.sub.Count()-before) > aheadOnWire && s.e.Ctx.Err() == nil {
				s.e.Sleep(time.Millisecond)
			}
		}
		if _, err := s.tty.Write(append(kit.NumberedFrame(n, frameSize), '\n')); err != nil {
			return fmt.Errorf("flood: %w", err)
		}
	}
	return s.e.Until("all frames", patience, func() bool { return s.sub.Count() >= before+frames })
}

// paced plays frames at the steady rate and returns the latency of each.
func (s *station) paced(frames int) ([]time.Duration, error) {
	before := s.sub.Count()
	player := &kit.Numbered{Rate: paceRate, Size: frameSize}
	ctx, stop := context.WithTimeout(s.e.Ctx, patience)
	defer stop()
	if err := player.Run(ctx, s.tty, frames); err != nil {
		return nil, err
	}
	err := s.e.Until("all paced frames", patience, func() bool { return s.sub.Count() >= before+frames })
	if err != nil {
		return nil, err
	}
	wrote := player.Wrote()
	var late []time.Duration
	for i, a := range s.sub.Arrivals()[before:] {
		if i < len(wrote) {
			late = append(late, a.At.Sub(wrote[i]))
		}
	}
	return late, nil
}

// durable measures the disk with write_after 0s and sync always.
func durable(e *kit.Env, b *kit.Broker, frames int) (float64, error) {
	s, err := newStation(e, b, "gw-durable", nil,
		func(d kit.Doc) { d.Set("spool.write_after", "0s").Set("spool.sync", "always") })
	if err != nil {
		return 0, err
	}
	before, err := s.written()
	if err != nil {
		return 0, err
	}
	if _, err := s.paced(frames); err != nil {
		return 0, err
	}
	after, err := s.written()
	if err != nil {
		return 0, err
	}
	return float64(after-before) / float64(frames*frameSize), s.agent.Term()
}
