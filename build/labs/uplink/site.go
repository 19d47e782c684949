package uplink

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
	"github.com/linkbeat/linkbeat/build/internal/servers"
)

const (
	// detectWithin and beat of every agent here that does not say something else.
	detectWithin = 6 * time.Second
	beat         = 2 * time.Second
	// look is added to every limit: the poll of /status (20 ms), ip or nft (10 ms), the scheduler of a loaded two-core machine.
	look = 400 * time.Millisecond
	// atOnce is how soon after a loss the next server must have seen our CONNECT.
	atOnce = time.Second
	// settle lets the first frames and beats of a link pass before something happens to it.
	settle = 1500 * time.Millisecond
	// soon is how long frames may be on their way after the spool was drained.
	soon = 20 * time.Second
)

// Kinds of load.
const (
	flowing = "20 frames/s"
	idle    = "idle"
	bound   = "20 frames/s, interfaces: [wan0, wan1]"
)

// site is one gateway with two ways out.
type site struct {
	e      *kit.Env
	id     string
	ways   *netlab.Ways
	doc    kit.Doc
	agent  *kit.Agent
	tty    *kit.Pty
	books  []*kit.Collector // subscribers of everything that the gateway sends, with sessions that last
	ends   []func()
	player *kit.Numbered
	stop   context.CancelFunc
	played sync.WaitGroup
}

func newSite(e *kit.Env, id string, o netlab.WaysOptions) (*site, error) {
	s := &site{e: e, id: id, stop: func() {}}
	var err error
	if s.ways, err = netlab.NewWays(e, o); err != nil {
		return nil, err
	}
	s.tty, err = e.Pty(id)
	return s, err
}

// mosquittos runs one at each server address, with a subscriber.
func (s *site) mosquittos() (all []*kit.Broker, err error) {
	for _, ip := range s.ways.ServerIPs {
		b, err := s.mosquitto(ip)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

func (s *site) mosquitto(ip string) (*kit.Broker, error) {
	b, err := s.e.Broker(kit.BrokerOptions{Netns: s.ways.Server, Addr: ip})
	if err != nil {
		return nil, err
	}
	s.ends = append(s.ends, b.Kill)
	return b, s.read(b.URL())
}

// place of a server at the nth address.
func (s *site) place(n int) servers.Place {
	return servers.Place{Netns: s.ways.Server, Addr: s.ways.ServerIPs[n]}
}

// read subscribes to what the gateway sends to a broker.
func (s *site) read(url string) error {
	c, err := s.e.Collect(kit.CollectOptions{URL: url, ID: fmt.Sprintf("books-%d", len(s.books)), Dial: kit.Dialer(s.ways.Server),
		Filters: []string{"lb/" + s.id + "/up/data/#", "lb/" + s.id + "/up/reply/#"}})
	if err != nil {
		return err
	}
	s.books = append(s.books, c)
	return nil
}

// start runs the agent and waits until it is up. What waited through an outage goes out at once: pacing is shown elsewhere.
func (s *site) start(tweak func(kit.Doc), urls ...string) (err error) {
	s.doc = kit.NewDoc(s.id, urls...).Line("meter", s.tty.Port).Set("serial.meter.commands", true).
		Set("uplink.detect_within", detectWithin.String()).Set("heartbeat.interval", beat.String()).
		Set("uplink.replay_rate", "64MiB/s")
	if tweak != nil {
		tweak(s.doc)
	}
	if s.agent, err = s.e.Agent(kit.AgentOptions{Doc: s.doc, Netns: s.ways.Device}); err != nil {
		return err
	}
	s.ends = append(s.ends, func() { s.agent.Kill() })
	return s.agent.StartUp()
}

// load plays what the kind of load says, and lets the link settle.
func (s *site) load(kind string) {
	if kind != idle {
		s.play(20, 60)
	}
	s.e.Sleep(settle)
}

// play writes numbered frames until quiet is called, or the site is closed.
func (s *site) play(rate, size int) {
	ctx, cancel := context.WithCancel(s.e.Ctx)
	s.player, s.stop = &kit.Numbered{Rate: rate, Size: size}, cancel
	s.played.Go(func() { _ = s.player.Run(ctx, s.tty, 0) }) // what was not written is not waited for
}

// quiet ends the playing.
func (s *site) quiet() {
	s.stop()
	s.played.Wait()
}

// lost waits until all frames that were played are in the books, and counts those that never came.
func (s *site) lost(limit time.Duration) (missing, of int, err error) {
	s.quiet()
	if s.player == nil {
		return 0, 0, nil
	}
	of = len(s.player.Wrote())
	if err := s.agent.Drained(limit); err != nil {
		return of, of, err
	}
	for deadline := time.Now().Add(soon); ; s.e.Sleep(200 * time.Millisecond) {
		if missing, err = s.missing(of); err != nil || missing == 0 || time.Now().After(deadline) {
			return missing, of, err
		}
	}
}

// missing counts the numbers up to n that no book has.
func (s *site) missing(n int) (int, error) {
	got := map[int]bool{}
	for _, b := range s.books {
		for _, a := range b.Arrivals(s.agent.Topic("up/data/meter")) {
			frames, err := a.Decode()
			if err != nil {
				return 0, err
			}
			for _, f := range frames {
				if f.Text == nil {
					continue // a gap
				}
				if k, ok := kit.ParseNumber([]byte(*f.Text)); ok && k <= n {
					got[k] = true
				}
			}
		}
	}
	return n - len(got), nil
}

// noneLost adds the row that every event has.
func (s *site) noneLost(t *kit.Table, name string) {
	missing, of, err := s.lost(time.Minute)
	note := fmt.Sprintf("of %d", of)
	if err != nil {
		note = err.Error()
	}
	t.Exactly(name+": frames lost", missing, 0, "", note)
}

// close takes down what this site runs, so that the others have the machine for themselves.
func (s *site) close() {
	s.quiet()
	for i := len(s.ends) - 1; i >= 0; i-- {
		s.ends[i]()
	}
	s.tty.Unplug()
}
