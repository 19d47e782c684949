package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// Names in the demo's topics.
const (
	deviceID   = "demo-gateway"
	deviceName = "gps"
)

const (
	framesEvery = time.Second
	statusShown = 5 * time.Second
	drainWithin = 15 * time.Second
)

// ErrLost is returned when the demo ended and a frame is missing or not as it was sent.
var ErrLost = errors.New("frames are lost")

// Options of Run.
type Options struct {
	Out   io.Writer
	Agent string        // the linkbeat program; if empty, beside this one, else from $PATH
	For   time.Duration // if zero, until ctx ends
	Keep  bool          // do not remove the temporary folder
}

// demo is everything that runs.
type demo struct {
	o      Options
	p      *printer
	tally  *tally
	broker *broker
	nat    *transporttest.Relay
	device *device
	agent  *agent
	group  sync.WaitGroup
	cancel context.CancelFunc // of what group runs
	cut    time.Duration      // in total

	restarts int // of the NAT, in total
}

// Run plays the demo until ctx ends or o.For has passed, and then tells the sums. ErrLost when they do not add up.
func Run(ctx context.Context, o Options) error {
	program, err := find(o.Agent)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "linkbeat-demo-")
	if err != nil {
		return fmt.Errorf("temporary folder: %w", err)
	}
	if !o.Keep {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	d := &demo{o: o, p: &printer{out: o.Out, start: time.Now()}, tally: newTally()}
	defer d.close()
	if err := d.build(program, dir); err != nil {
		return err
	}
	if err := d.agent.ready(ctx); err != nil {
		return err
	}
	d.p.text(d.opening())
	d.play(ctx)
	return d.end(context.WithoutCancel(ctx))
}

// build starts everything, from the broker to the agent.
func (d *demo) build(program, dir string) (err error) {
	var ctx context.Context
	ctx, d.cancel = context.WithCancel(context.Background())
	if d.broker, err = newBroker(); err != nil {
		return err
	}
	topics := wire.DefaultTopics().For(deviceID)
	if err := d.broker.watch(1, wire.Filter(topics.Data), d.arrived); err != nil {
		return fmt.Errorf("broker: %w", err)
	}
	d.nat, err = transporttest.NewRelay(transporttest.RelayOptions{Target: d.broker.addr, Idle: natIdle, Latency: natLatency})
	if err != nil {
		return err
	}
	d.group.Go(func() { _ = d.nat.Run(ctx) }) // it ends only with ctx: its listener is ours
	if d.device, err = newDevice(d.tally); err != nil {
		return err
	}
	d.group.Go(d.device.listen)
	d.agent, err = startAgent(program, dir, d.nat.Addr(), d.device.port.Name())
	return err
}

// close ends what build has started, in reverse.
func (d *demo) close() {
	if d.agent != nil {
		_ = d.agent.stop() // no harm when it has ended
	}
	if d.device != nil {
		d.device.close()
	}
	if d.cancel != nil {
		d.cancel()
	}
	if d.broker != nil {
		d.broker.close()
	}
	d.group.Wait()
}

// arrived is called with each message at the broker.
func (d *demo) arrived(topic string, payload []byte) {
	records, err := wire.ParseRecords(payload)
	if err != nil {
		d.p.say("broker", "%s: %v", topic, err)
		return
	}
	for _, r := range records {
		if b, err := r.Bytes(); d.tally.arrive(topic, r) && err == nil {
			d.p.frame(r.Seq, string(b))
		}
	}
}

// play lets the device talk and the story happen, until ctx ends or the time is over.
func (d *demo) play(ctx context.Context) {
	last := time.Duration(0)
	if d.o.For > 0 {
		last = max(d.o.For-time.Since(d.p.start)-endingTakes, time.Second)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, last)
		defer cancel()
	}
	var players sync.WaitGroup
	players.Go(func() {
		if err := d.device.play(ctx); err != nil {
			d.p.say("device", "%v", err)
		}
	})
	players.Go(func() { d.show(ctx) })
	scenes, again := script(last)
	perform(ctx, scenes, again, d.scene)
	players.Wait()
}

// show prints what arrived, and from time to time the agent's own view.
func (d *demo) show(ctx context.Context) {
	frames, look := time.NewTicker(framesEvery), time.NewTicker(statusShown)
	defer frames.Stop()
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-frames.C:
			d.p.tick()
		case <-look.C:
			s, err := d.agent.status(ctx)
			if err != nil {
				if ctx.Err() == nil {
					d.p.say("agent", "%v", err)
				}
				continue
			}
			d.p.say("agent", "%s", s)
		}
	}
}
