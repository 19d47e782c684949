package demo

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/wire"
)

const (
	commandWithin = 12 * time.Second       // until a command expires
	commandEarly  = 200 * time.Millisecond // before the end of the silence: only a beat can have kept the mapping
)

// scene plays one scene.
func (d *demo) scene(ctx context.Context, s scene) {
	switch s.act {
	case actQuiet:
		d.quiet(ctx, s.last)
	case actCut:
		d.p.say("nat", "CUT: nothing passes for %v, and the device goes on", s.last)
		d.nat.Cut(s.last)
		d.cut += s.last
		wait(ctx, s.last)
		d.p.say("nat", "the path is back; what waited in the agent is sent now")
	case actForget:
		d.stopCommands()
		d.forget(ctx, s.last)
	default:
		if s.last == 0 {
			<-ctx.Done()
		}
		wait(ctx, s.last)
	}
}

// quiet lets the device be silent for longer than the NAT remembers; at its end a series of commands begins.
func (d *demo) quiet(ctx context.Context, last time.Duration) {
	d.stopCommands()
	d.device.pause(true)
	defer d.device.pause(false)
	d.p.say("device", "silent for %v: longer than the NAT remembers; now only the agent's beats keep its connection", last)
	wait(ctx, last-commandEarly)
	if ctx.Err() == nil {
		d.startCommands(ctx)
	}
	wait(ctx, commandEarly)
}

// startCommands begins a series, which ends with ctx, with stopCommands, or shortly before the end of the demo.
func (d *demo) startCommands(ctx context.Context) {
	var end context.CancelFunc
	if deadline, ok := ctx.Deadline(); ok {
		ctx, end = context.WithDeadline(ctx, deadline.Add(-lastCommand))
	} else {
		ctx, end = context.WithCancel(ctx)
	}
	d.endSeries = end
	d.commands.start(ctx)
}

// stopCommands ends the series that runs, if one does.
func (d *demo) stopCommands() {
	if d.endSeries != nil {
		d.endSeries()
		d.endSeries = nil
	}
}

// sendToAgent writes to the device as `linkbeatctl send` does, and returns once the gateway has confirmed it.
func (d *demo) sendToAgent(ctx context.Context, text string) error {
	_, err := operator.Send(ctx, operator.Options{Server: operator.URL(d.broker.addr)},
		operator.Command{Device: deviceID, Name: deviceName, Data: []byte(text), Encoding: wire.Text, Patience: commandWithin})
	return err
}

// commandDone prints how a command went. The plain client had as much time as the agent.
func (d *demo) commandDone(text string, took time.Duration, err error) {
	result := fmt.Sprintf("confirmed after %d ms", took.Milliseconds())
	if err != nil {
		result = err.Error()
	}
	sent := d.commands.count()
	d.p.say("command", "%s to the agent: %s; arrived so far: %d of %d at the agent, %d of %d at the plain client",
		strings.TrimPrefix(text, commandPrefix), result, d.device.count(), sent, d.plain.arrived.Load(), sent)
}

// forget restarts the NAT: every connection is dead, and neither end hears of it.
func (d *demo) forget(ctx context.Context, last time.Duration) {
	before, err := d.agent.status(ctx)
	if err != nil {
		return
	}
	d.p.say("nat", "RESTART: it forgets every connection without a word; bytes vanish")
	begin := time.Now()
	d.nat.Flush()
	d.restarts++
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for limit := begin.Add(last); time.Now().Before(limit) && ctx.Err() == nil; <-tick.C {
		if s, err := d.agent.status(ctx); err == nil && s.Uplink.Drops > before.Uplink.Drops && s.Uplink.State == "up" {
			d.p.say("agent", "noticed and connected again after %v; what was not acknowledged is sent again",
				time.Since(begin).Round(statusEvery))
			wait(ctx, time.Until(limit))
			return
		}
	}
}
