package demo

import (
	"context"
	"time"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/wire"
)

const (
	replyWithin  = 5 * time.Second
	pollPosition = "$PUBX,00*33" // a u-blox receiver's "where are you?"
)

// scene plays one scene.
func (d *demo) scene(ctx context.Context, s scene) {
	switch s.act {
	case actQuiet:
		d.quiet(ctx, s.last)
	case actCommand:
		d.command(ctx)
	case actCut:
		d.p.say("nat", "CUT: nothing passes for %v, and the device goes on", s.last)
		d.nat.Cut(s.last)
		d.cut += s.last
		rest(ctx, s.last)
		d.p.say("nat", "the path is back; what waited in the agent comes now")
	case actForget:
		d.forget(ctx, s.last)
	default:
		if s.last == 0 {
			<-ctx.Done()
		}
		rest(ctx, s.last)
	}
}

// quiet lets the device be silent for longer than the NAT remembers.
func (d *demo) quiet(ctx context.Context, last time.Duration) {
	d.device.pause(true)
	defer d.device.pause(false)
	d.p.say("device", "silent for %v; the NAT forgets a connection after %v, but the agent beats every %v", last, natIdle, beatInterval)
	before, err := d.agent.status(ctx)
	rest(ctx, last)
	after, err2 := d.agent.status(ctx)
	if err == nil && err2 == nil {
		d.p.say("agent", "%d beats in the silence; connections that the NAT has forgotten so far: %d",
			after.Heartbeat.Pings-before.Heartbeat.Pings, d.nat.Counters().Forgotten)
	}
}

// command writes to the device as `linkbeatctl send` does: after the silence, it arrives only if the NAT still knows us.
func (d *demo) command(ctx context.Context) {
	begin := time.Now()
	_, err := operator.Send(ctx, operator.Options{Server: d.broker.addr},
		operator.Command{Device: deviceID, Name: deviceName, Data: []byte(pollPosition), Encoding: wire.Text, Patience: replyWithin})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		d.p.say("fleet", "command %s: %v", pollPosition, err)
	case !d.device.has([]byte(pollPosition)):
		d.p.say("fleet", "command %s was confirmed, and the device never saw it", pollPosition)
	default:
		d.p.say("fleet", "command %s reached the device and was confirmed in %v: the connection lived through the silence",
			pollPosition, time.Since(begin).Round(time.Millisecond))
	}
}

// forget restarts the NAT: the connection is dead, and neither end hears of it.
func (d *demo) forget(ctx context.Context, last time.Duration) {
	before, err := d.agent.status(ctx)
	if err != nil {
		return
	}
	d.p.say("nat", "RESTART: it forgets every connection, and tells nobody; bytes just vanish")
	begin := time.Now()
	d.nat.Flush()
	d.restarts++
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for limit := begin.Add(last); time.Now().Before(limit) && ctx.Err() == nil; <-tick.C {
		if s, err := d.agent.status(ctx); err == nil && s.Uplink.Drops > before.Uplink.Drops && s.Uplink.State == "up" {
			d.p.say("agent", "noticed and connected anew after %v; what was not acknowledged is sent again", time.Since(begin).Round(statusEvery))
			rest(ctx, time.Until(limit))
			return
		}
	}
}
