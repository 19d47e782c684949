// Package outage shows how fast a dead link is noticed and how little a short cut costs. A dead broker is a mosquitto
// under SIGSTOP: its kernel still acknowledges TCP. A silent path is a lab of two namespaces in which packets vanish on
// the way in, on both sides, with real TCP between them.
package outage

import (
	"context"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

// Kinds of load on the link at the moment it dies.
const (
	idle        = "idle"
	outstanding = "20 frames/s"
	full        = "full send buffer"
)

// Kinds of death.
const (
	frozen = "broker stopped with SIGSTOP"
	silent = "path gone silent"
)

// Options choose how much is shown.
type Options struct {
	Label    string // of the client ids
	Noticed  []Noticed
	Survived []Survived
}

// Noticed is one death that must be noticed in time.
type Noticed struct {
	Death, Load  string
	DetectWithin time.Duration
	Interval     time.Duration // of the beat
}

// Survived is one cut that must not cost the connection.
type Survived struct {
	DetectWithin, Cut time.Duration
	Idle              bool // no frames, only beats every 2 s
}

// Short is what `make test` runs: detect_within 6 s only, and no cut that lasts nearly as long, for on a busy machine
// its end would come too late.
func Short() Options {
	return Options{Label: "short", Noticed: deaths(6*time.Second, 2*time.Second),
		Survived: cuts(6*time.Second, 1, 3)}
}

// Full is what `make outage` runs.
func Full() Options {
	o := Options{Label: "full", Noticed: deaths(6*time.Second, 2*time.Second), Survived: cuts(6*time.Second, 1, 2, 3, 4, 4.8)}
	o.Noticed = append(o.Noticed, deaths(60*time.Second, 20*time.Second)...)
	o.Survived = append(o.Survived, cuts(60*time.Second, 1, 6, 12, 24, 36, 48)...)
	o.Survived = append(o.Survived, Survived{6 * time.Second, 4 * time.Second, true})
	return o
}

func deaths(detect, interval time.Duration) []Noticed {
	var all []Noticed
	for _, death := range []string{frozen, silent} {
		for _, load := range []string{outstanding, full, idle} {
			all = append(all, Noticed{death, load, detect, interval})
		}
	}
	return all
}

func cuts(detect time.Duration, seconds ...float64) []Survived {
	var all []Survived
	for _, s := range seconds {
		all = append(all, Survived{DetectWithin: detect, Cut: time.Duration(s * float64(time.Second))})
	}
	return all
}

// Run shows all of it, four at a time: each has namespaces, brokers and an agent of its own, and mostly waits.
func Run(e *kit.Env, o Options, t *kit.Table) error {
	t.Say("noticed: from the moment the broker or the path died until the agent counts the connection as lost;")
	t.Say("answers: from the moment the path is back until the broker's next PUBACK is counted by the agent.")
	var jobs []func() error
	for i, n := range o.Noticed {
		jobs = append(jobs, func() error { return n.run(e, fmt.Sprintf("gw-%s-n%d", o.Label, i), t) })
	}
	for i, s := range o.Survived {
		jobs = append(jobs, func() error { return s.run(e, fmt.Sprintf("gw-%s-s%d", o.Label, i), t) })
	}
	if _, err := e.BuildAgent(""); err != nil {
		return err
	}
	return kit.SideBySide(4, jobs)
}

// site is one gateway with two servers, in a lab or on loopback.
type site struct {
	e       *kit.Env
	lab     *netlab.Lab // nil on loopback
	brokers []*kit.Broker
	agent   *kit.Agent
	tty     *kit.Pty
	id      string
}

func newSite(e *kit.Env, id, load string, inLab bool, detect, interval time.Duration) (*site, error) {
	s := &site{e: e, id: id}
	var err error
	if inLab {
		if s.lab, err = netlab.New(e, 2); err != nil {
			return nil, err
		}
	}
	for i := range 2 {
		o := kit.BrokerOptions{}
		if inLab {
			o.Netns, o.Addr = s.lab.Server, s.lab.ServerIPs[i]
		}
		b, err := e.Broker(o)
		if err != nil {
			return nil, err
		}
		s.brokers = append(s.brokers, b)
	}
	if s.tty, err = e.Pty(id); err != nil {
		return nil, err
	}
	doc := kit.NewDoc(id, s.brokers[0].URL(), s.brokers[1].URL()).Line("meter", s.tty.Port).
		Set("uplink.detect_within", detect.String()).Set("heartbeat.interval", interval.String()).
		Set("uplink.window", 256).Set("spool.max_bytes", "64MiB")
	if load == full { // 256 packets of 100 KiB in flight fill even the send buffer of a loopback connection
		doc.Set("serial.meter.batch", map[string]any{"frames": 25, "delay": "100ms", "bytes": "100KiB"})
	}
	o := kit.AgentOptions{Doc: doc}
	if inLab {
		o.Netns = s.lab.Device
	}
	if s.agent, err = e.Agent(o); err != nil {
		return nil, err
	}
	return s, s.agent.StartUp()
}

// load puts the link under load until ctx ends.
func (s *site) load(ctx context.Context, kind string) {
	switch kind {
	case outstanding:
		go func() { _ = (&kit.Numbered{Rate: 20, Size: 60}).Run(ctx, s.tty, 0) }() // ends with the pty at the latest
	case full: // 16 MB: more than the window and any send buffer hold
		go func() { _ = (&kit.Numbered{Rate: 2000, Size: 4000}).Run(ctx, s.tty, 4000) }()
	}
}

// server asks whether the agent is up and where.
func (s *site) server() (up bool, url string, drops int64) {
	st, err := s.agent.Status()
	if err != nil {
		return false, "", -1
	}
	return st.Uplink.State == "up", st.Uplink.Server, st.Uplink.Drops
}

// port is the local port of the connection to the first server: the same port is the same connection.
func (s *site) port() (int, int64, error) {
	socks, err := s.agent.Proc().Established(s.brokers[0].Host())
	if err != nil {
		return 0, 0, err
	}
	if len(socks) != 1 {
		return 0, 0, fmt.Errorf("%d connections to %s, want 1: %+v", len(socks), s.brokers[0].Host(), socks)
	}
	return socks[0].LocalPort, socks[0].TxQueue, nil
}

// close takes down what this site runs, so that the next one has the machine for itself.
func (s *site) close() {
	s.agent.Kill()
	for _, b := range s.brokers {
		b.Kill()
	}
	s.tty.Unplug()
}
