// Package diag answers "why am I offline?" for a person at a gateway: it goes the way of the uplink step by step, from the
// interfaces to a message that comes back, says what each step found and how long it took, and at the first that fails what to do
// next. It needs no running agent and does not disturb one; where one runs, what that says comes first.
//
// The core is pure: steps.go has the shapes, explain.go and hints.go say what a finding means, render.go how it
// reads. The rest is thin: running.go asks the agent, local.go looks at this machine, [diagnose.Diagnosis] at the server,
// bundle.go packs what a helper far away will ask for.
package diag

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/diagnose"
)

// Options say what is diagnosed. Document and ID are required.
type Options struct {
	Document    *config.Document
	ID          string // of the gateway
	ConfigError string // what is wrong with its file, although Document runs; empty: nothing
	Server      string // URL of one of uplink.servers, whole or as it is shown; empty: all
	Version     string
	Built       time.Time // of this binary; zero: not known
	Online      bool      // only the servers, not this machine

	// Agent asks the one that runs here. An error that wraps gate.ErrNoAgent says that none does. Nil: it is not asked.
	Agent func(context.Context) (statuspage.Status, error)
	// Ports says what is wrong with the port of each serial device; nil: nothing, as far as can be told without opening it. It is
	// called where no agent says it.
	Ports func() map[string]error
	// Topics are those that run publishes to, each with the same of the gateway whose id is other. Nil: none.
	Topics func(other string) []transport.EchoTopic

	Watch   Watcher                                                           // may be nil
	Now     func() time.Time                                                  // nil: time.Now
	Machine Machine                                                           // its nil funcs: this machine
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error) // nil: real TCP
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)      // nil: the system's resolver

	well bool // an agent runs, and says that nothing is wrong
}

// Watcher is called as the diagnosis goes on.
type Watcher interface {
	Server(url string) // the steps that follow are its own
	Step(Step)
}

// ErrNoServer is returned for a server that the document does not name: the login is for those only.
var ErrNoServer = errors.New("not one of uplink.servers")

// Run diagnoses the machine, and every server unless one is named. Each ends at its own first failure. An error is one of the
// options, or that of ctx with what was found so far.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Machine = o.Machine.orThis()
	servers := slices.Clone(o.Document.Uplink.Servers)
	if o.Server != "" {
		servers = slices.DeleteFunc(servers, func(s config.Server) bool {
			return s.URL.Reveal() != o.Server && s.URL.Name() != o.Server
		})
		if len(servers) == 0 {
			return Report{}, ErrNoServer
		}
	}
	r := Report{ID: o.ID, Version: o.Version, At: o.Now().UnixMilli(), Servers: []Server{}}
	if !o.Online {
		r.Agent, o.well = o.running(ctx)
		r.Machine = o.machine(servers)
	}
	if !fine(r.Machine) {
		return r, nil
	}
	for _, s := range servers {
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		r.Servers = append(r.Servers, o.server(ctx, s))
	}
	return r, nil
}

// maxText bounds what a step quotes, in bytes: a server chooses how long it is.
const maxText = 4 << 10

// tell is where each step is told, and so where what strangers say in it is made printable.
func (o Options) tell(s Step) Step {
	printable.Deep(&s, maxText)
	if o.Watch != nil {
		o.Watch.Step(s)
	}
	return s
}

// machine is what holds for every server.
func (o Options) machine(servers []config.Server) (steps []Step) {
	if o.ConfigError != "" {
		steps = append(steps, o.tell(configStep(o.ConfigError)))
	}
	if now := o.Now(); now.Before(o.Built) {
		steps = append(steps, o.tell(clockStep(now, o.Built)))
	}
	all, err := o.Machine.Interfaces()
	local := slices.ContainsFunc(servers, func(s config.Server) bool { return isLocal(s.Host()) })
	return append(steps, o.tell(interfaceStep(all, err, o.Document.Uplink.Interfaces, local)))
}

func isLocal(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// server goes the way to one server.
func (o Options) server(ctx context.Context, s config.Server) Server {
	if o.Watch != nil {
		o.Watch.Server(s.URL.Name())
	}
	result := Server{URL: s.URL.Name()}
	add := func(step Step) { result.Steps = append(result.Steps, o.tell(step)) }
	via, err := o.via(s)
	if err != nil {
		add(Step{Name: diagnose.StepProxy, Status: Fail, Fault: string(diagnose.FaultProxy), Text: err.Error(),
			Hint: hintBadProxy})
		return result
	}
	if !o.Online {
		step := o.route(s, via)
		if add(step); step.Status == Fail {
			return result
		}
	}
	trial := o.trial(s, via)
	facts := factsOf(s, o.ID, o.Document.Uplink.With(s))
	facts.trial = trial.SessionID
	trial.Report = func(t diagnose.Step) {
		step := explain(t, facts, o.Now())
		switch {
		case t.Fault == diagnose.FaultSize && o.well:
			step.Status = Warn // so large a message is possible, and there was none
		case t.Fault == diagnose.FaultKeepalive && o.Document.Uplink.Keepalive.Auto:
			step.Status, step.Hint = Warn, hintLess
		}
		add(step)
	}
	if _, err := trial.Run(ctx); err != nil { // config has checked the URL
		add(Step{Name: diagnose.StepDNS, Status: Fail, Text: err.Error()})
	}
	return result
}

// via is the proxy of the document, or of the environment; nil: none.
func (o Options) via(s config.Server) (*transport.Proxy, error) {
	return transport.ProxyFor(o.Document.Uplink.Proxy, s.URL)
}

func (o Options) trial(s config.Server, via *transport.Proxy) diagnose.Diagnosis {
	d := o.Document
	login, session := d.Uplink.With(s), sessionID(o.ID)
	t := diagnose.Diagnosis{
		Server: transport.Server{URL: s.URL, Username: login.Username, Password: login.ReadPassword,
			Withhold: d.Uplink.Withheld(s),
			TLS: transport.TLSOptions{CAFile: string(login.TLS.CAFile), CertFile: string(login.TLS.CertFile),
				KeyFile: string(login.TLS.KeyFile), ServerName: login.TLS.ServerName, ALPN: login.TLS.ALPN}},
		SessionID: session, Filters: Filters(d, o.ID), Size: d.LargestPayload(),
		Asks: diagnose.Asks{Keepalive: d.Uplink.ConnectKeepalive(), Lasting: !d.Uplink.CleanSession, Will: true,
			Retain: d.Uplink.Retain != "off"},
		Probe: wire.Expand(topicsOf(d, o.ID).Probe, "n", "0"), Proxy: via, Dial: o.Dial,
		Interfaces: d.Uplink.Interfaces, Resolve: o.Resolve, Now: o.Now,
	}
	if o.Topics != nil {
		t.Topics = o.Topics(session)
	}
	if d.Uplink.TimeFloor == "build" {
		t.Now = func() time.Time {
			if now := o.Now(); !now.Before(o.Built) {
				return now
			}
			return o.Built
		}
	}
	return t
}

func topicsOf(d *config.Document, id string) wire.Topics {
	t := d.Topics
	return wire.Topics{State: t.State, Info: t.Info, Data: t.Data, Reply: t.Reply, Log: t.Log, Stats: t.Stats,
		Reported: t.Reported, Cmd: t.Cmd, Config: t.Config, Group: t.Group, Probe: t.Probe}.For(id)
}

// Filters are what a gateway subscribes to: commands, configuration, and its own state.
func Filters(d *config.Document, id string) []string {
	t := topicsOf(d, id)
	all := []string{t.State, wire.Filter(t.Cmd) + wire.WriteSuffix, wire.Filter(t.Cmd) + wire.RequestSuffix,
		wire.Filter(t.Cmd) + wire.ConsoleSuffix, t.Config}
	for _, g := range d.Device.Groups {
		all = append(all, wire.Expand(t.Group, "group", g))
	}
	return all
}

// sessionID is the client id of the sessions that try for a gateway: one of its probes, as access rules see it, but none that an
// agent or another diagnosis has at the same time: they would throw each other out.
func sessionID(id string) string { return fmt.Sprintf("%s-p%d", id, firstSession+rand.IntN(sessions)) }

const firstSession, sessions = 1000, 9000

// hostName is this machine's, for the bundle.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "?"
	}
	return name
}
