package demo

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// String is the status in a line.
func (s status) String() string {
	line := fmt.Sprintf("GET /status: uplink %s, beat %v, %d beats, %d connections lost, frames: %d accepted, %d acknowledged, %d waiting",
		s.Uplink.State, time.Duration(s.Heartbeat.IntervalS*float64(time.Second)), s.Heartbeat.Pings, s.Uplink.Drops,
		s.Spool.Accepted, s.Spool.Acked, s.Spool.Waiting)
	if s.Why != "" {
		line += "; why: " + s.Why
	}
	return line
}

// opening tells what runs.
func (d *demo) opening() string {
	end := "ctrl-C ends it."
	if d.o.For > 0 {
		end = fmt.Sprintf("It ends by itself after %v.", d.o.For)
	}
	return fmt.Sprintf(`linkbeat demo: everything below is real but the distance.

  GPS receiver ──▶ pseudo-terminal ────▶ linkbeat ──▶ carrier NAT ──────▶ broker
  (a recording)    %-17s   the agent    %-15s   %s

The NAT forgets a connection whose client is silent for %v, without a word to anybody: its bytes just vanish.
%s In another terminal:

  linkbeatctl devices --server mqtt://%s
  linkbeatctl tail    --server mqtt://%s
  curl %s/status

`, d.device.port.Name(), d.nat.Addr(), d.broker.addr, natIdle, end, d.broker.addr, d.broker.addr, d.agent.url)
}

// end waits for what is under way, stops the agent, and tells the sums.
func (d *demo) end(ctx context.Context) error {
	d.nat.Cut(0)
	d.drain(ctx)
	s, statusErr := d.agent.status(ctx)
	stopErr := d.agent.stop()
	d.p.tick()
	r := d.tally.result()
	d.p.text("\n" + table(d.rows(r, s)) + "\n" + d.next(r))
	if !r.Whole() {
		return fmt.Errorf("%w: %d of %d missing, %d altered; the agent's log: run again with --keep", ErrLost, r.Lost, r.Sent, r.Altered)
	}
	return errors.Join(statusErr, stopErr)
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

func (d *demo) rows(r Result, s status) [][2]string {
	n := func(v int64) string { return strconv.FormatInt(v, 10) }
	c := d.nat.Counters()
	return [][2]string{
		{"frames sent by the device", n(r.Sent)},
		{"frames received by the broker", n(r.Received)},
		{"lost", n(r.Lost)},
		{"duplicated", n(r.Duplicated)},
		{"out of order", n(r.Disordered)},
		{"altered", n(r.Altered)},
		{"path cut for", d.cut.Round(statusEvery).String()},
		{"connections lost by the agent", n(s.Uplink.Drops)},
		{"forgotten by the NAT", n(c.Forgotten)},
		{"beats, and answers asked for again", n(s.Heartbeat.Pings)},
		{"bytes up", n(c.UpBytes)},
		{"bytes down", n(c.DownBytes)},
	}
}

// next is the verdict, and what to try.
func (d *demo) next(r Result) string {
	var b strings.Builder
	if r.Whole() {
		fmt.Fprintf(&b, "Every line of the device arrived, byte for byte, though the path was cut for %v", d.cut.Round(statusEvery))
		if d.restarts > 0 {
			b.WriteString(" and the NAT forgot its connections")
		}
		b.WriteString(".\n")
	} else {
		b.WriteString("Not every line arrived as it was sent. That must not be: please report it with the agent's log.\n")
	}
	b.WriteString(`
What to try next:
  make demo                                  again, until ctrl-C, with linkbeatctl tail and devices beside it
  make test                                  every test, with a real broker
  linkbeat template > linkbeat.yaml          a commented configuration; set uplink.servers and your serial port
  linkbeat check -c linkbeat.yaml            every fault of it at once
  linkbeat run -c linkbeat.yaml              then it is no demo any more
`)
	if d.o.Keep {
		fmt.Fprintf(&b, "\nThe agent's configuration, spool and log are kept in %s\n", d.agent.dir)
	}
	return b.String()
}
