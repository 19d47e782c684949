// Package crash shows what survives when the agent is killed with SIGKILL at random moments while frames flow and the
// broker comes and goes. The device is a pseudo-terminal that plays numbered frames; the books are kept by a subscriber
// with a session at the real, persistent mosquitto. With Options.Mixed a second, slow device beside it gathers compressed
// batches: each device is judged by the same rules.
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
	Mixed      bool   // a device with batch and gzip beside the other one

	Slack time.Duration // beyond write_after, for the spool to look and the disk to write; if zero, 1 s
}

// What is played, and what the documented defaults say.
const (
	rate         = 200 // frames a second
	slowRate     = 15  // of the device that gathers batches: one is gathering nearly always
	batchFrames  = 20  // in a batch
	frameSize    = 60  // bytes
	window       = 32  // uplink.window, in publishes
	writeAfter   = 5 * time.Second
	slack        = time.Second             // beyond write_after: the spool looks every 0.5 s; the scheduler
	lifeMin      = 50 * time.Millisecond   // an agent is killed this long after its start at the earliest,
	lifeMax      = 1800 * time.Millisecond // and at the latest
	downMin      = 100 * time.Millisecond  // how long the broker is away at least
	drainedAfter = 90 * time.Second
)

// life is one run of the agent, from its start to its kill.
type life struct {
	start, end time.Time
	seen       map[string]int64 // by device: frames that /status had counted as accepted at the last look
}

// device is one serial device and its player.
type device struct {
	name   string
	batch  int // frames in a batch; 1: none
	tty    *kit.Pty
	player *kit.Numbered
}

// run is the state of one scenario.
type run struct {
	e      *kit.Env
	o      Options
	broker *kit.Broker
	agent  *kit.Agent
	sub    *kit.Collector

	devices []*device
	playing sync.WaitGroup
	errsMu  sync.Mutex
	errs    []error // of the players

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
	r := &run{e: e, o: o, devices: []*device{{name: "meter", batch: 1, player: &kit.Numbered{Rate: rate, Size: frameSize}}}}
	if o.Mixed {
		r.devices = append(r.devices, &device{name: "slow", batch: batchFrames,
			player: &kit.Numbered{Rate: slowRate, Size: frameSize}})
	}
	if err := r.prepare(); err != nil {
		return err
	}
	stop := r.play()
	defer stop()
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
	if err := r.finish(); err != nil {
		return err
	}
	for _, d := range r.devices {
		if err := r.judge(t, d); err != nil {
			return err
		}
	}
	return nil
}

// play starts the players; they end after stop, as soon as somebody reads what they are writing.
func (r *run) play() (stop func()) {
	ctx, stop := context.WithCancel(r.e.Ctx)
	for _, d := range r.devices {
		r.playing.Go(func() {
			if err := d.player.Run(ctx, d.tty, 0); err != nil {
				r.errsMu.Lock()
				r.errs = append(r.errs, err)
				r.errsMu.Unlock()
			}
		})
	}
	return stop
}

// played waits until the players have ended, for at most limit: with no agent to read, the kernel's buffer fills after a few
// seconds, and a player is stuck in the middle of a frame.
func (r *run) played(limit time.Duration) error {
	ended := make(chan struct{})
	go func() { // ends with the tty at the latest
		r.playing.Wait()
		close(ended)
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-ended:
	case <-timer.C:
		return fmt.Errorf("the players did not end within %v: nobody reads the tty", limit)
	case <-r.e.Ctx.Done():
		return fmt.Errorf("waiting for the players: %w", r.e.Ctx.Err())
	}
	r.errsMu.Lock()
	defer r.errsMu.Unlock()
	return errors.Join(r.errs...)
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
	doc := kit.NewDoc(id, r.broker.URL()).Set("uplink.window", window)
	for _, d := range r.devices {
		if d.tty, err = r.e.Pty(id + "-" + d.name); err != nil {
			return err
		}
		doc.Line(d.name, d.tty.Port)
		if d.batch > 1 {
			doc.Set("serial."+d.name+".batch", map[string]any{"frames": d.batch, "delay": "10s"}).
				Set("serial."+d.name+".compress", "gzip")
		}
	}
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
	l := life{start: time.Now(), seen: map[string]int64{}}
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
	for _, d := range r.devices {
		d.tty.Free()
	}
	r.lives = append(r.lives, l)
	return r.e.Ctx.Err()
}

func (r *run) look(l *life) {
	s, err := r.agent.Status()
	if err != nil {
		return // not listening yet
	}
	r.looks++
	for _, d := range r.devices {
		l.seen[d.name] = s.Serial[d.name].Framed - s.Serial[d.name].Refused
	}
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
	l := life{start: time.Now(), seen: map[string]int64{}}
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	if err := r.played(drainedAfter); err != nil { // not before: it is the agent that reads
		return err
	}
	last := int64(-1)
	err := r.e.Until("the tty to be read out and the spool sent", drainedAfter, func() bool {
		s, err := r.agent.Status()
		if err != nil {
			return false
		}
		r.look(&l)
		read := int64(0)
		for _, d := range r.devices {
			read += s.Serial[d.name].Read
		}
		still := read == last && s.Spool.Waiting == 0 && s.Uplink.State == "up"
		last = read
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
