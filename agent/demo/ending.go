package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// opening says what runs.
func (d *demo) opening() string {
	end := "ctrl-C ends it."
	if d.o.For > 0 {
		end = fmt.Sprintf("It ends by itself after %v.", d.o.For)
	}
	return fmt.Sprintf(`linkbeat demo: everything below is real but the distance.

  GPS receiver ──▶ pseudo-terminal ──▶ linkbeat ──┐
  (a recording)    %-17s   the agent  ├──▶ carrier NAT ─────▶ broker
           plain client with keepalive %.0f s ──────┘    %-15s    %s

The NAT forgets a connection whose client is silent for too long: its bytes vanish, and neither end is told. The limit was
drawn at random, from %.0f to %.0f s, and is shown at the end. The agent begins with a beat of %.0f s and finds the limit out.
The plain client is an ordinary MQTT client with a keepalive of %.0f s. Commands go to both.
%s In another terminal:

  linkbeatctl devices --server mqtt://%s
  linkbeatctl tail    --server mqtt://%s
  curl %s/status

`, d.device.port.Name(), plainKeepalive.Seconds(), d.nat.Addr(), d.broker.addr, limitLeast.Seconds(), limitMost.Seconds(),
		beatLeast.Seconds(), plainKeepalive.Seconds(), end, d.broker.addr, d.broker.addr, d.agent.url)
}

// end waits for what is under way, stops the agent, and prints the table.
func (d *demo) end(ctx context.Context) (Outcome, error) {
	d.nat.Cut(0)
	d.commands.wait()
	d.drain(ctx)
	s, statusErr := d.agent.status(ctx)
	if statusErr == nil {
		d.look(s)
	}
	lasted := time.Since(d.p.start)
	stopErr := d.agent.stop()
	o := d.outcome(s, lasted)
	d.p.text("\n" + table(rows(o)) + "\n" + d.next(o))
	return o, errors.Join(o.Err(max(lasted, d.o.For)), statusErr, stopErr)
}

// drain waits until everything that was sent has arrived.
func (d *demo) drain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, drainWithin)
	defer cancel()
	for !d.tally.complete() && ctx.Err() == nil {
		select {
		case <-d.tally.change:
		case <-d.agent.exited:
			return
		case <-ctx.Done():
		}
	}
}

func (d *demo) outcome(s status, lasted time.Duration) Outcome {
	sent := d.commands.count()
	return Outcome{
		Seed: d.o.Seed, Seconds: lasted.Seconds(),
		LimitS: d.progress.limit.Seconds(), ProvenS: d.progress.proven.Seconds(), GoalAfterS: d.progress.goalAt.Seconds(),
		BeatS: d.progress.beat.Seconds(), Beats: s.Heartbeat.Pings, ProbesBytes: s.Heartbeat.CostBytes, Dropped: s.Uplink.Drops,
		CutS: d.cut.Seconds(), Restarts: d.restarts,
		Agent: Reached{sent, d.device.count()}, Plain: Reached{sent, d.plain.arrived.Load()},
		Frames: d.tally.result(),
	}
}

// rows are the table at the end.
func rows(o Outcome) [][2]string {
	reached := func(r Reached) string {
		if r.Sent == 0 {
			return "none sent: the demo was too short"
		}
		return fmt.Sprintf("%d of %d arrived, %d lost", r.Arrived, r.Sent, r.Lost())
	}
	proven := fmt.Sprintf("%.2f s, %.0f %% of it", o.ProvenS, 100*o.Share())
	if o.GoalAfterS > 0 {
		proven += fmt.Sprintf("; %.0f %% after %.1f s", 100*ShareGoal, o.GoalAfterS)
	}
	f := o.Frames
	return [][2]string{
		{"the NAT's hidden limit", fmt.Sprintf("%.2f s (again: --seed %d)", o.LimitS, o.Seed)},
		{"proven by the agent", proven},
		{"its beat", fmt.Sprintf("%.1f s at first, %.1f s at most", beatLeast.Seconds(), o.BeatS)},
		{"what finding out cost", fmt.Sprintf("%.1f KiB on the wire", float64(o.ProbesBytes)/(1<<10))},
		{"commands to the agent", reached(o.Agent)},
		{fmt.Sprintf("commands to the plain client, keepalive %.0f s", plainKeepalive.Seconds()), reached(o.Plain)},
		{"frames of the device", fmt.Sprintf("%d sent, %d received, %d lost, %d twice, %d altered, %d out of order",
			f.Sent, f.Received, f.Lost, f.Duplicated, f.Altered, f.Disordered)},
		{"path cut for", fmt.Sprintf("%.1f s", o.CutS)},
		{"connections lost by the agent", fmt.Sprintf("%d, with %d restarts of the NAT", o.Dropped, o.Restarts)},
	}
}

// next says what the table means, and what to try.
func (d *demo) next(o Outcome) string {
	var b strings.Builder
	if o.Frames.Whole() {
		fmt.Fprintf(&b, "Every line of the device arrived, byte for byte, though the path was cut for %.1f s", o.CutS)
		if o.Restarts > 0 {
			b.WriteString(" and the NAT forgot its connections")
		}
		b.WriteString(".\n")
	} else {
		b.WriteString("Not every line arrived as it was sent. This is a fault: please report it with the agent's log.\n")
	}
	b.WriteString(`
What to try next:
  linkbeat template > linkbeat.yaml     a commented configuration: set uplink.servers and your serial port
  linkbeat check -c linkbeat.yaml       every fault of it at once
  linkbeat run -c linkbeat.yaml         your own gateway
`)
	if d.o.Keep {
		fmt.Fprintf(&b, "\nThe agent's configuration, spool and log are kept in %s\n", d.agent.dir)
	}
	return b.String()
}
