// Package crash shows what survives when the agent is killed with SIGKILL at random moments while frames flow and the
// broker comes and goes. The device is a pseudo-terminal that plays numbered frames; the books are kept by a subscriber
// with a session at the real, persistent mosquitto.
//
// The exact relation. A frame is in one of these places at the moment of a kill, and this is what must become of it:
//
//	kernel's tty buffer        the next life of the agent reads it: it arrives
//	framer (a frame half read) lost: its tail arrives as one torn frame, or not at all
//	being accepted             either
//	accepted by the spool      write_after 0s: arrives. Defaults: arrives, unless it was younger than write_after
//	acknowledged by the broker arrived; at most the in-flight window arrives again, with the same (epoch, seq)
//
// So per life: the frames that arrive are consecutive, none missing between the first and the last, and there are at
// least as many as /status had counted as accepted at the last look before the kill (write_after 0s).
package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Options of one run.
type Options struct {
	Label      string // starts every row
	Kills      int    // of the agent, SIGKILL
	Stops      int    // of the broker, in order, and started again
	WriteAfter string // spool.write_after; if empty, the default (5s)
	Sync       string // spool.sync; if empty, the default (1s)
}

// What is played, and what the documented defaults say.
const (
	rate         = 200 // frames a second
	frameSize    = 60  // bytes
	window       = 32  // uplink.window
	writeAfter   = 5 * time.Second
	slack        = time.Second             // beyond write_after: the spool looks every 0.5 s; the scheduler
	lifeMin      = 50 * time.Millisecond   // an agent is killed this long after its start at the earliest,
	lifeMax      = 1800 * time.Millisecond // and at the latest
	downMin      = 100 * time.Millisecond  // how long the broker is away at least
	device       = "meter"
	drainedAfter = 90 * time.Second
)

// life is one run of the agent, from its start to its kill.
type life struct {
	start, end time.Time
	seen       int64 // frames that /status had counted as accepted at the last look
}

// run is the state of one scenario.
type run struct {
	e      *kit.Env
	o      Options
	broker *kit.Broker
	agent  *kit.Agent
	sub    *kit.Collector
	tty    *kit.Pty
	player *kit.Numbered

	lives      []life
	breaks     []time.Time // kills and broker stops, in order
	breaksMu   sync.Mutex
	broken     sync.WaitGroup // the broker is away
	brokerErr  error          // written before broken is done
	imbalances []string
	looks      int
}

// Run plays, kills, counts, and adds its rows to the table.
func Run(e *kit.Env, o Options, t *kit.Table) error {
	r := &run{e: e, o: o, player: &kit.Numbered{Rate: rate, Size: frameSize}}
	if err := r.prepare(); err != nil {
		return err
	}
	playing, stop := context.WithCancel(e.Ctx)
	defer stop()
	played := make(chan error, 1)
	go func() { played <- r.player.Run(playing, r.tty, 0) }()
	defer r.broken.Wait()
	for i := range o.Kills {
		if err := r.oneLife(i); err != nil {
			return err
		}
	}
	r.broken.Wait()
	if r.brokerErr != nil {
		return r.brokerErr
	}
	stop()
	if err := <-played; err != nil {
		return err
	}
	if err := r.finish(); err != nil {
		return err
	}
	return r.judge(t)
}

func (r *run) prepare() error {
	id := "gw-crash-" + r.o.Label
	var err error
	if r.broker, err = r.e.Broker(kit.BrokerOptions{}); err != nil {
		return err
	}
	r.sub, err = r.e.Collect(kit.CollectOptions{URL: r.broker.URL(), ID: id + "-books", Filters: []string{"lb/" + id + "/up/#"}})
	if err != nil {
		return err
	}
	if r.tty, err = r.e.Pty(id); err != nil {
		return err
	}
	doc := kit.NewDoc(id, r.broker.URL()).Line(device, r.tty.Port).Set("uplink.window", window)
	if r.o.WriteAfter != "" {
		doc.Set("spool.write_after", r.o.WriteAfter)
	}
	if r.o.Sync != "" {
		doc.Set("spool.sync", r.o.Sync)
	}
	r.agent, err = r.e.Agent(kit.AgentOptions{Doc: doc})
	return err
}

// away stops mosquitto somewhere in a life and starts it again later, often after that life was killed.
func (r *run) away(lasts time.Duration) {
	r.e.Sleep(between(0, lasts/3))
	r.mark()
	err := r.broker.Stop()
	if err == nil {
		r.e.Sleep(between(downMin, max(downMin, lasts)+time.Second))
		err = r.broker.Start()
	}
	r.brokerErr = errors.Join(r.brokerErr, err)
}

// oneLife starts the agent, looks at its status now and then, and kills it at a random moment: every other time right
// after a look, when the count of accepted frames is fresh.
//
// A life in which the broker goes away is a long one with the defaults, so that frames wait for longer than write_after.
func (r *run) oneLife(i int) error {
	lasts := between(lifeMin, lifeMax)
	if every := r.o.Kills / max(1, r.o.Stops); r.o.Stops > 0 && i%every == every-1 {
		lasts = max(lasts, lifeMax/2) // long enough for frames to wait
		if r.o.WriteAfter == "" {
			lasts += writeAfter + time.Second
		}
		r.broken.Wait() // the broker is back from the last time
		r.broken.Go(func() { r.away(lasts) })
	}
	l := life{start: time.Now()}
	if err := r.agent.Start(); err != nil {
		return err
	}
	until := l.start.Add(lasts)
	for time.Now().Before(until) {
		r.e.Sleep(min(25*time.Millisecond, time.Until(until)))
		if !r.agent.Proc().Running() {
			return fmt.Errorf("the agent ended by itself\n%s", r.agent.Proc().Tail(20))
		}
		r.look(&l)
	}
	if len(r.lives)%2 == 0 {
		r.look(&l)
	} else {
		r.e.Sleep(between(0, 20*time.Millisecond))
	}
	r.mark()
	r.agent.Kill()
	l.end = time.Now()
	r.tty.Free()
	r.lives = append(r.lives, l)
	return r.e.Ctx.Err()
}

func (r *run) look(l *life) {
	s, err := r.agent.Status()
	if err != nil {
		return // not listening yet
	}
	r.looks++
	l.seen = s.Serial[device].Framed - s.Serial[device].Refused
	if msg := s.Imbalance(); msg != "" {
		r.imbalances = append(r.imbalances, msg)
	}
}

func (r *run) mark() {
	r.breaksMu.Lock()
	defer r.breaksMu.Unlock()
	r.breaks = append(r.breaks, time.Now())
}

// finish lets a last life read what is left, send all of it, and end in order.
func (r *run) finish() error {
	l := life{start: time.Now()}
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	last := int64(-1)
	err := r.e.Until("the tty to be read out and the spool sent", drainedAfter, func() bool {
		s, err := r.agent.Status()
		if err != nil {
			return false
		}
		r.look(&l)
		still := s.Serial[device].Read == last && s.Spool.Waiting == 0 && s.Uplink.State == "up"
		last = s.Serial[device].Read
		r.e.Sleep(500 * time.Millisecond)
		return still
	})
	if err != nil {
		s, _ := r.agent.Status()
		return fmt.Errorf("%w: %+v", err, s)
	}
	if err := r.agent.Term(); err != nil {
		return err
	}
	l.end = time.Now()
	r.lives = append(r.lives, l)
	count := -1
	return r.e.Until("the subscriber to be quiet", 30*time.Second, func() bool {
		quiet := r.sub.Count() == count
		count = r.sub.Count()
		r.e.Sleep(700 * time.Millisecond)
		return quiet
	})
}

func between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + rand.N(hi-lo)
}
