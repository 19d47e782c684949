// Package uplink shows the uplink where it must not lie: the real agent with two ways out (build/internal/netlab draws them),
// real brokers, load balancer and proxies (build/internal/servers), and everything that happens to them in the field.
package uplink

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

// Lab is this laboratory's row of the table.
func Lab() kit.Lab {
	return kit.Lab{
		Name:    "uplink",
		Promise: "failover, two interfaces, NATS nodes killed, proxies, haproxy, 200 gateways, the ledger against tcpdump",
		Needs:   append(netlab.WaysTools(), "mosquitto", "haproxy", "tinyproxy", "microsocks", "nats-server", "rabbitmq-server"),
		Takes:   12 * time.Minute, Limit: 30 * time.Minute,
		Short: short().run, Full: full().run,
	}
}

// options choose how much is shown.
type options struct {
	cells  []cell
	atOnce int
}

// cell is one event, with namespaces, servers and an agent of its own.
type cell struct {
	name string
	run  func(e *kit.Env, id string, t *kit.Table) error
}

// full is what `make lab-uplink` runs. The longest come first: the others pass beside them.
func full() options {
	return options{atOnce: 6, cells: []cell{
		ledger(10*time.Minute, byShare), cluster(20), herd(200, 5*time.Second),
		returns(100 * time.Millisecond), failsBack(), balanced(), idleBalancer(),
		frozen(flowing), frozen(idle), hole(),
		cable(flowing), cable(idle), cable(bound), otherWay(),
		routeMoves(flowing), routeMoves(idle), readdressed(),
		proxied(httpProxy), proxied(socksProxy), rabbit(), kicked(),
	}}
}

// short is what `make test` runs.
func short() options {
	return options{atOnce: 6, cells: []cell{
		ledger(time.Minute, byValue), cluster(2), returns(100 * time.Millisecond), rabbit(),
		frozen(flowing), hole(), cable(idle), routeMoves(flowing), balanced(), proxied(httpProxy), proxied(socksProxy),
	}}
}

// run shows all of it, side by side. A cell that fails does not stop the others.
func (o options) run(e *kit.Env, t *kit.Table) error {
	t.Say("Times are from the event until /status or the broker's log shows it, looked at every 20 ms. Lost: " +
		"frames that were handed to")
	t.Say("the serial port and came out of no broker, after the spool was drained. The same connection: " +
		"local port, no drop, no re-dial.")
	if _, err := e.BuildAgent(""); err != nil {
		return err
	}
	var jobs []func() error
	for i, c := range o.cells {
		jobs = append(jobs, func() error {
			start := time.Now()
			if err := c.run(e, fmt.Sprintf("gw-u%d", i), t); err != nil {
				t.Check(c.name, err)
			}
			e.Logf("%s took %.0f s", c.name, time.Since(start).Seconds())
			return nil
		})
	}
	return kit.SideBySide(o.atOnce, jobs)
}
