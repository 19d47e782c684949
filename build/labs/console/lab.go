// Package console shows that the remote console can be worked with over a slow path: how soon a key comes back, and that a file
// sent by ZMODEM through the remote port, either way, arrives as it was.
package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// Lab is this laboratory's row of the table.
func Lab() kit.Lab {
	return kit.Lab{
		Name: "console",
		Promise: "a key's echo over a path of 200 ms, a reset connection, ZMODEM both ways with equal hashes, " +
			"lines, taps, the lease",
		Needs: []string{"mosquitto", "sz", "rz", "socat", "picocom", "script"},
		Takes: 3 * time.Minute, Limit: 15 * time.Minute, Quiet: true, Short: short().run, Full: full().run,
	}
}

// options choose how much is shown.
type options struct {
	Keys   int  // keystrokes whose echo is timed
	File   int  // bytes that go by ZMODEM, each way
	Lease  bool // a reset connection, and wait for a lease to end: a minute
	Bits   int  // of the device's line, a second
	OneWay time.Duration
}

// short is what `make test` runs.
func short() options {
	return options{Keys: 10, File: 64 << 10, Bits: 921600, OneWay: 100 * time.Millisecond}
}

// full is what `make lab-console` runs.
func full() options {
	return options{Keys: 100, File: 1 << 20, Lease: true, Bits: 921600, OneWay: 100 * time.Millisecond}
}

// scene is a gateway behind a slow path with one device, and an operator at the broker.
type scene struct {
	e      *kit.Env
	o      options
	broker *kit.Broker
	agent  *kit.Agent
	relay  *transporttest.Relay
	ctl    string // the operator's program
	wire   *wire
}

// run shows all of it.
func (o options) run(e *kit.Env, t *kit.Table) error {
	t.Say("mosquitto; between it and the gateway a user-space NAT that delays by %v each way; the operator sits at the broker,",
		o.OneWay)
	t.Say("which says set_tcp_nodelay true: with its default a key that follows soon after another may wait for an " +
		"acknowledgement of TCP;")
	t.Say("the device hangs on a pseudo-terminal with the pace of a line of %d bit/s and no flow control.", o.Bits)
	s, err := build(e, o)
	if err != nil {
		return err
	}
	steady := func(t *kit.Table) error { return s.bulk(t, "random bytes through the console to an echo", false) }
	for _, step := range []func(*kit.Table) error{s.echo, steady, s.files, s.lines, s.terminal, s.taps} {
		if err := step(t); err != nil {
			return fmt.Errorf("%w\nagent: %s", err, s.agent.Proc().Tail(15))
		}
	}
	if !o.Lease {
		return nil
	}
	if err := s.bulk(t, "random bytes, the gateway's connection is reset in the middle", true); err != nil {
		return fmt.Errorf("%w\nagent: %s", err, s.agent.Proc().Tail(15))
	}
	return s.lease(t)
}

func build(e *kit.Env, o options) (s *scene, err error) {
	s = &scene{e: e, o: o}
	if s.broker, err = e.Broker(kit.BrokerOptions{}); err != nil {
		return nil, err
	}
	relay, err := transporttest.NewRelay(transporttest.RelayOptions{Target: s.broker.Host(), Latency: o.OneWay,
		Forget: transporttest.Reset})
	if err != nil {
		return nil, err
	}
	s.relay = relay
	ctx, cancel := context.WithCancel(e.Ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = relay.Run(ctx)
	}()
	e.Defer(func() { cancel(); <-ended })
	if s.wire, err = newWire(e, o.Bits); err != nil {
		return nil, err
	}
	dir, err := e.Sub("bin")
	if err != nil {
		return nil, err
	}
	s.ctl = dir + "/linkbeatctl"
	if err := kit.Build(e.Ctx, "cmd/linkbeatctl", s.ctl); err != nil {
		return nil, err
	}
	doc := kit.NewDoc("gw", "mqtt://"+relay.Addr()).Line("plc", s.wire.port).Set("serial.plc.console", true).
		Set("serial.plc.commands", true)
	shut, err := e.Pty("shut")
	if err != nil {
		return nil, err
	}
	doc.Line("shut", shut.Port)
	if s.agent, err = e.Agent(kit.AgentOptions{Doc: doc}); err != nil {
		return nil, err
	}
	return s, s.agent.StartUp()
}

// console starts the operator's program with a pseudo-terminal, and returns its path.
func (s *scene) console(args ...string) (p *kit.Proc, path string, err error) {
	name := fmt.Sprint("console-", time.Now().UnixNano())
	argv := append([]string{s.ctl, "console", "gw", "plc", "--pty", "--server", s.broker.URL()}, args...)
	if p, err = s.e.StartProc(name, "", nil, argv...); err != nil {
		return nil, "", err
	}
	err = s.e.Until("the path of a pseudo-terminal", 10*time.Second, func() bool {
		for _, line := range strings.Split(p.Tail(10), "\n") {
			if strings.HasPrefix(line, "/dev/") {
				path = line
			}
		}
		return path != "" || !p.Running()
	})
	if err != nil || path == "" {
		return nil, "", fmt.Errorf("console: %w: %s", orEnded(err), p.Tail(5))
	}
	return p, path, nil
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("it ended")
	}
	return err
}
