package demo

import (
	"context"
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

const drainWithin = 15 * time.Second

// Options of Run.
type Options struct {
	Out   io.Writer     // the story, for a person
	Agent string        // the linkbeat program; if empty, beside this one, else from $PATH
	For   time.Duration // if zero, until ctx ends
	Seed  uint64        // draws the NAT's limit; if zero, one is drawn
	Keep  bool          // do not remove the temporary folder
}

// demo is everything that runs.
type demo struct {
	o        Options
	p        *printer
	tally    *tally
	broker   *broker
	nat      *transporttest.Relay
	plain    *plain
	device   *device
	agent    *agent
	commands commands
	progress progress
	group    sync.WaitGroup
	cancel   context.CancelFunc // of what group runs
	cut      time.Duration      // in total
	restarts int                // of the NAT, in total

	endSeries context.CancelFunc // of the commands; nil: none runs
}

// Run plays the demo until ctx ends or o.For has passed, prints a table, and returns what it shows. The error wraps ErrLost or
// ErrUnproven when that is not as it should be, and is another one when something did not start.
func Run(ctx context.Context, o Options) (Outcome, error) {
	program, err := find(o.Agent)
	if err != nil {
		return Outcome{}, err
	}
	dir, err := os.MkdirTemp("", "linkbeat-demo-")
	if err != nil {
		return Outcome{}, fmt.Errorf("temporary folder: %w", err)
	}
	if !o.Keep {
		defer func() { _ = os.RemoveAll(dir) }()
	}
	if o.Seed == 0 {
		o.Seed = drawSeed()
	}
	d := &demo{o: o, p: &printer{out: o.Out, start: time.Now()}, tally: newTally(), progress: progress{limit: drawLimit(o.Seed)}}
	defer d.close()
	if err := d.build(program, dir); err != nil {
		return Outcome{}, err
	}
	if err := d.agent.ready(ctx); err != nil {
		return Outcome{}, err
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
	nat := transporttest.RelayOptions{Target: d.broker.addr, Idle: d.progress.limit, Latency: natLatency}
	d.nat, err = transporttest.NewRelay(nat)
	if err != nil {
		return err
	}
	d.group.Go(func() { _ = d.nat.Run(ctx) }) // it ends only with ctx: its listener is ours
	if d.device, err = newDevice(d.tally); err != nil {
		return err
	}
	d.group.Go(d.device.listen)
	if d.plain, err = newPlain(d.nat.Addr()); err != nil {
		return err
	}
	d.commands = commands{toAgent: d.sendToAgent, done: d.commandDone,
		toPlain: func(text string) error { return d.broker.publish(plainTopic, []byte(text)) }}
	d.agent, err = startAgent(program, dir, d.nat.Addr(), d.device.port.Name())
	return err
}

// close ends what build has started, in reverse.
func (d *demo) close() {
	if d.agent != nil {
		_ = d.agent.stop() // no harm when it has ended
	}
	if d.plain != nil {
		d.plain.close()
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
	if wire.IsEcho(payload) {
		return
	}
	records, err := wire.ParseRecords(payload)
	if err != nil {
		d.p.say("broker", "%s: %v", topic, err)
		return
	}
	for _, r := range records {
		d.tally.arrive(topic, r)
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
	d.stopCommands()
	players.Wait()
}
