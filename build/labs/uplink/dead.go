package uplink

import (
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

// stalled is how many bytes must lie unacknowledged for a send buffer of the lab to count as full.
const stalled = 16 << 10

// frozen stops a mosquitto with SIGSTOP: its kernel still acknowledges TCP.
func frozen(load string) cell {
	name := "mosquitto under SIGSTOP, " + load
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		limit := detectWithin
		if load == idle {
			limit += beat
		}
		return dies(e, id, name, load, limit+look, t, func(_ *site, b *kit.Broker) error { return b.Freeze() })
	}}
}

// hole lets all packets to and from the first server vanish, while more is written than the send buffer takes.
func hole() cell {
	name := "path black-holed, full send buffer"
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		return dies(e, id, name, fast, detectWithin+2*time.Second, t, func(s *site, _ *kit.Broker) error {
			return s.ways.BlackHole(s.ways.ServerIPs[0])
		})
	}}
}

// fast fills the send buffer at once: 200 frames of 1000 bytes a second.
const fast = "200 KB/s"

// dies takes the first of two servers away and measures how long it takes the agent to know, and to be at the other.
func dies(e *kit.Env, id, name, load string, limit time.Duration, t *kit.Table, strike func(*site, *kit.Broker) error) error {
	s, err := newSite(e, id, netlab.WaysOptions{Servers: 2})
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.ways.SmallBuffers(); err != nil {
		return err
	}
	brokers, err := s.mosquittos()
	if err != nil {
		return err
	}
	more := func(d kit.Doc) { d.Set("uplink.window", 256) }
	if err := s.start(more, brokers[0].URL(), brokers[1].URL()); err != nil {
		return err
	}
	if load == fast {
		s.play(200, 1000)
		e.Sleep(settle)
	} else {
		s.load(load)
	}
	before := s.status().Uplink.Drops
	if err := strike(s, brokers[0]); err != nil {
		return err
	}
	died := time.Now()
	if load == fast {
		queued := int64(0)
		_ = e.Until("the send buffer to be full", time.Second, func() bool { // what it holds then is a row of the table
			if _, n, err := s.port(brokers[0].Host()); err == nil {
				queued = n
			}
			return queued >= stalled
		})
		t.AtLeast(name+": bytes stuck in the send buffer", float64(queued), stalled, "bytes")
	}
	took, err := s.lostSince(died, before, limit+10*time.Second)
	if err != nil {
		return err
	}
	t.Within(name+": noticed", took.Seconds(), limit.Seconds(), "s")
	if err := brokers[1].WaitConnect(id, 1, 20*time.Second); err != nil {
		return err
	}
	t.Within(name+": then CONNECT at the next server", (time.Since(died) - took).Seconds(), atOnce.Seconds(), "s")
	e.Sleep(settle)
	s.quiet()
	if err := brokers[0].Thaw(); err != nil { // what it had acknowledged is to be read out of it
		return err
	}
	if load == idle {
		return s.upAt(brokers[1].URL(), 10*time.Second)
	}
	s.noneLost(t, name)
	return nil
}
