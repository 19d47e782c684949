package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/agent/console"
	"github.com/linkbeat/linkbeat/agent/pathstore"
	"github.com/linkbeat/linkbeat/agent/pump"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
)

// generation is what is on the way to the server under one configuration: the link, what it carries, and the page that tells of
// it. Routes, facts, hooks and the log level change within a generation; anything else ends it and begins the next one, on the same site.
type generation struct {
	*site
	id       string
	doc      *config.Document // but for what changes within a generation
	link     *transport.Link
	routes   *pump.Routes
	topics   wire.Topics
	pump     *pump.Pump
	consoles *console.Server
	report   *reporter
	page     *statuspage.Page // nil: none
	hint     *pathstore.Hint  // nil: none
	begun    chan struct{}    // closed when it runs

	pageNo supervise.Fault // why there is no status page
}

// uplinkStop is how long a generation may take to stop, all its parts together.
const uplinkStop = 45 * time.Second

// compose makes the parts of a generation and ties them together; nothing runs and nothing is opened yet.
func (s *site) compose(b config.Booted, id string) (*generation, error) {
	d := b.Document
	g := &generation{site: s, id: id, doc: d, topics: topicsOf(d, id), begun: make(chan struct{})}
	connected := make(chan struct{}, 1)
	o := linkOptions(d, g.id, g.topics)
	o.State = g.announce
	o.ReportEvery, o.Report = d.Heartbeat.Report, g.statsMessage
	if d.Uplink.TimeFloor != "off" {
		o.Floor = g.o.Built
	}
	o.Notify = func(e transport.Event) { g.linkEvent(e, connected) }
	hint := d.Uplink.PathHint // of the local file only: what the fleet sends must never run a command
	g.hint = pathstore.NewHint(hint.Command, hint.Every.Std(), g.log)
	o.Learning.Memory, o.Learning.Path = s.paths, (&pathstore.Namer{Hint: g.hint}).Name
	var err error
	if g.link, err = transport.New(o); err != nil {
		return nil, fmt.Errorf("uplink: %w", err)
	}
	g.routes = pump.NewRoutes(g.topics.Data, id)
	g.route(d)
	for _, suffix := range []string{wire.WriteSuffix, wire.RequestSuffix} {
		g.link.Handle(wire.Filter(g.topics.Cmd)+suffix, s.down.Handler(g.topics.Cmd+suffix))
	}
	g.consoles = console.New(g.link, s.devices.port, g.topics, o.MaxPacket, g.clock, g.log)
	g.link.Handle(wire.Filter(g.topics.Cmd)+wire.ConsoleSuffix, g.consoles.Handler)
	g.pump = pump.New(pump.Options{Link: g.link, Data: s.data, High: s.high, Replies: s.replies, ReplyTopic: g.topics.Reply, Routes: g.routes,
		Clock: g.clock, ReplayRate: d.Uplink.ReplayRate.Bytes.Int64(), Exhausted: s.ledger.Exhausted, Quarantine: s.quarantine,
		Liveness: g.liveness, Log: g.log})
	s.ledger.SetBudget(d.Uplink.Budget)
	g.report = &reporter{link: g.link, info: g.topics.Info, stats: g.topics.Stats, statsEvery: d.Stats.Every.Std(),
		status: g.status, exhausted: s.ledger.Exhausted, connected: connected, told: s.told, log: g.log}
	if d.HTTP.Listen != "" {
		g.page = statuspage.New(statuspage.Options{Listen: d.HTTP.Listen, Status: g.status, Healthy: g.healthy, Tap: g.devices.tap,
			Fault: g.pageFault})
	}
	return g, nil
}

// route puts the routes of a document to use.
func (g *generation) route(d *config.Document) {
	g.routes.Set(routesOf(d, g.topics))
}

// run runs the parts until ctx is done (next is nil) or another generation comes from successors, which goes on with the same
// spools: nothing drains then.
func (g *generation) run(ctx context.Context, successors <-chan *generation) (next *generation, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	succeeded := func(ctx context.Context) error {
		close(g.begun)
		select {
		case next = <-successors:
			g.pump.HandOver()
			end()
		case <-ctx.Done():
		}
		<-ctx.Done()
		return nil
	}
	g.report.loop = g.liveness.Loop("report")
	defer g.report.loop.Gone()
	// Started in this order, stopped in the reverse one.
	err = supervise.Group{
		{Name: "page", Run: g.runPage},
		{Name: "path hint", Run: g.hint.Run},
		{Name: "link", Run: g.runLink, Stop: 10 * time.Second},
		{Name: "report", Run: g.runReport},
		{Name: "access", Run: g.tryAccess},
		{Name: "consoles", Run: g.consoles.Run},
		{Name: "pump", Run: g.pump.Run, Stop: pump.StopWithin},
		{Name: "succession", Run: succeeded},
	}.Run(ctx)
	return next, err
}

func (g *generation) runLink(ctx context.Context) error {
	g.hint.Await(ctx)
	defer g.hooks.Ended("stopped")
	return g.link.Run(ctx)
}

func (g *generation) runReport(ctx context.Context) error {
	g.facts.Await(ctx)
	return g.report.run(ctx)
}

func (g *generation) runPage(ctx context.Context) error {
	if g.page == nil {
		<-ctx.Done()
		return nil
	}
	return g.page.Run(ctx)
}

// statsMessage is up/stats as a beat; false while the link has no time for it.
func (g *generation) statsMessage() (transport.Message, bool) {
	if g.ledger.Exhausted() {
		return transport.Message{}, false
	}
	payload, err := json.Marshal(g.status())
	return transport.Message{Topic: g.topics.Stats, Payload: payload, QoS: 1, Cause: transport.CauseData}, err == nil
}

// announce is the birth (online) and the will of a session.
func (g *generation) announce(online bool, s transport.Session) []byte {
	return wire.State{Online: online, Session: g.sessionsBefore() + s.Number, Epoch: g.data.Epoch(), Since: s.Since.UnixMilli(),
		Version: g.o.Version, Server: s.Server}.Append(nil)
}

// sessionsBefore are those of earlier generations: sessions are numbered from the start of the process.
func (a *Agent) sessionsBefore() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.before.uplink.Session
}

// linkEvent logs one change of the link.
func (g *generation) linkEvent(e transport.Event, connected chan<- struct{}) {
	line := g.log.Warn()
	if e.Kind == transport.EventUp {
		line = g.log.Info()
		g.hooks.Up(e.Server)
		select {
		case connected <- struct{}{}:
		default: // the reporter has not seen the last one yet
		}
	}
	if e.Kind == transport.EventDown {
		g.hooks.Down(e.Server, e.Why)
	}
	line = line.Str("server", e.Server).Int64("session", g.sessionsBefore()+e.Session)
	supervise.Str(line, "why", e.Why).Msg("uplink " + string(e.Kind))
}

// pageFault is told at each try to listen; one log line for each change.
func (g *generation) pageFault(err error) {
	text := ""
	if err != nil {
		text = fmt.Sprintf("the status page has no address: %v", err)
	}
	switch changed := g.pageNo.Set(text); {
	case changed && err != nil:
		g.log.Warn().Err(err).Msg("status page cannot listen, trying again")
	case changed:
		g.log.Info().Msg("status page listens")
	}
}
