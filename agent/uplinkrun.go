package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/console"
	"github.com/linkbeat/linkbeat/agent/delivery"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/pathstore"
	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/pump"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
)

// uplinkRun is one uplink and everything that is restarted with it on a reload: the link, what it carries, and the page
// that reports it. Routes, facts, hooks and the log level change within a run; anything else ends it, and the next one
// begins on the same local state.
type uplinkRun struct {
	*localState
	id       string
	doc      *config.Document // but for what changes within the run
	link     *transport.Link
	routes   *pump.Routes
	topics   wire.Topics
	pump     *pump.Pump
	delivery *delivery.Keeper // which topics the server delivers
	consoles *console.Server
	report   *reporter
	page     *statuspage.Page // nil: none
	hint     *pathstore.Hint  // nil: none
	begun    chan struct{}    // closed when it runs

	pageFault supervise.Fault // why there is no status page
}

// uplinkStop is how long an uplink run may take to stop, all its parts together.
const uplinkStop = 45 * time.Second

// compose makes the parts of an uplink run and ties them together; nothing runs and nothing is opened yet.
func (l *localState) compose(b config.Booted, id string) (*uplinkRun, error) {
	d := b.Document
	u := &uplinkRun{localState: l, id: id, doc: d, topics: topicsOf(d, id), begun: make(chan struct{})}
	connected := make(chan struct{}, 1)
	o := linkOptions(d, u.id, u.topics)
	o.State = u.announce
	o.ReportEvery, o.Report = d.Heartbeat.Report, u.statsMessage
	if d.Uplink.TimeFloor != "off" {
		o.Floor = u.o.Built
	}
	o.Notify = func(e transport.Event) { u.linkEvent(e, connected) }
	hint := d.Uplink.PathHint // of the local file only: what the fleet sends must never run a command
	u.hint = pathstore.NewHint(hint.Command, hint.Every.Std(), u.log)
	o.Refused, o.Learning.Memory, o.Learning.Path = l.paths, l.paths, (&pathstore.Namer{Hint: u.hint}).Name
	var err error
	if u.link, err = transport.New(o); err != nil {
		return nil, fmt.Errorf("uplink: %w", err)
	}
	u.routes = pump.NewRoutes(u.topics.Data, id)
	u.delivery = u.keeperOf(d)
	u.route(d)
	for _, suffix := range []string{wire.WriteSuffix, wire.RequestSuffix} {
		u.link.Handle(wire.Filter(u.topics.Cmd)+suffix, l.down.Handler(u.topics.Cmd+suffix))
	}
	u.consoles = console.New(u.link, l.devices.port, u.topics, o.MaxPacket, u.clock, u.log)
	u.consoles.Charge(flood.Toll{Pay: u.link.Refuse, Spent: l.ledger.RefusedSpent})
	u.link.Handle(wire.Filter(u.topics.Cmd)+wire.ConsoleSuffix, u.consoles.Handler)
	u.link.Mute(l.ledger.Muted())
	u.pump = pump.New(pump.Options{Link: u.link, Data: l.data, High: l.high,
		Replies: l.replies, ReplyTopic: u.topics.Reply, Routes: u.routes,
		Clock: u.clock, ReplayRate: d.Uplink.ReplayRate.Bytes.Int64(), Exhausted: l.ledger.Exhausted, Quarantine: l.quarantine,
		Holds: u.delivery, Sizes: u.delivery, Log: u.log})
	l.ledger.SetBudget(d.Uplink.Budget)
	u.report = &reporter{link: u.link, info: u.topics.Info, stats: u.topics.Stats, statsEvery: d.Stats.Every.Std(),
		status: u.status, exhausted: l.ledger.Exhausted, denied: u.delivery.Denied, connected: connected,
		lastReport: l.lastReport, log: u.log}
	if d.HTTP.Listen != "" {
		u.page = statuspage.New(statuspage.Options{Listen: d.HTTP.Listen, Status: u.status, Healthy: u.healthy,
			Fault:  u.notePageFault,
			Server: serverOptions("status page", u.log)})
	}
	return u, nil
}

// route puts the routes of a document to use.
func (u *uplinkRun) route(d *config.Document) {
	u.routes.Set(routesOf(d, u.topics))
	u.delivery.Use(topicsUsed(d, u.topics, topicsOf(d, transport.TrialID(u.id))))
}

// run runs the parts until ctx is done (next is nil) or another run comes from successors. That one continues with
// the same spools, so nothing drains then.
func (u *uplinkRun) run(ctx context.Context, successors <-chan *uplinkRun) (next *uplinkRun, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	succeeded := func(ctx context.Context) error {
		close(u.begun)
		select {
		case next = <-successors:
			u.pump.HandOver()
			end()
		case <-ctx.Done():
		}
		<-ctx.Done()
		return nil
	}
	u.report.loop = u.liveness.Loop("report")
	defer u.report.loop.Gone()
	pumping := u.liveness.Loop("pump")
	defer pumping.Gone() // though the pump be stuck: this run has ended, and the next one has a pump of its own
	// Started in this order, stopped in the reverse one.
	err = supervise.Group{
		{Name: "page", Run: u.runPage},
		{Name: "path hint", Run: u.hint.Run},
		{Name: "link", Run: u.runLink, Stop: 10 * time.Second},
		{Name: "report", Run: u.runReport},
		{Name: "delivery", Run: u.delivery.Run},
		{Name: "consoles", Run: u.consoles.Run},
		{Name: "pump", Run: func(ctx context.Context) error { return u.pump.Run(ctx, pumping) }, Stop: pump.StopWithin},
		{Name: "succession", Run: succeeded},
	}.Run(ctx)
	return next, err
}

func (u *uplinkRun) runLink(ctx context.Context) error {
	u.hint.Await(ctx)
	defer u.hooks.Ended("stopped")
	return u.link.Run(ctx)
}

func (u *uplinkRun) runReport(ctx context.Context) error {
	u.facts.Await(ctx)
	return u.report.run(ctx)
}

func (u *uplinkRun) runPage(ctx context.Context) error {
	if u.page == nil {
		<-ctx.Done()
		return nil
	}
	return u.page.Run(ctx)
}

// statsMessage is up/stats as a beat; false while the link has no time for it.
func (u *uplinkRun) statsMessage() (transport.Message, bool) {
	if u.ledger.Exhausted() || u.delivery.Denied(u.topics.Stats) {
		return transport.Message{}, false
	}
	payload, err := json.Marshal(u.status())
	return transport.Message{Topic: u.topics.Stats, Payload: payload, QoS: 1, Cause: transport.CauseData}, err == nil
}

// announce is the birth (online) and the will of a session.
func (u *uplinkRun) announce(online bool, s transport.Session) []byte {
	state := wire.State{Online: online, Session: u.sessionsBefore() + s.Number, Epoch: u.data.Epoch(), Since: s.Since.UnixMilli(),
		Version: u.o.Version, Server: s.Server}
	printable.Deep(&state, statuspage.MaxText)
	return state.Append(nil)
}

// sessionsBefore are those of earlier runs: sessions are numbered from the start of the process.
func (a *Agent) sessionsBefore() int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.before.uplink.Session
}

// eventsFirst is how many events of a kind are told one by one in a minute: changes of the link as many as a person would want to
// see, and what single messages cause once.
func eventsFirst(kind transport.EventKind) int {
	if kind == transport.EventOversized {
		return 1
	}
	return 20
}

// linkEvent logs one change of the link. Servers, paths and whoever knows our id can cause one after the other.
func (u *uplinkRun) linkEvent(e transport.Event, connected chan<- struct{}) {
	level := zerolog.WarnLevel
	if e.Kind == transport.EventAcknowledged {
		level = zerolog.InfoLevel
	}
	if e.Kind == transport.EventUp {
		level = zerolog.InfoLevel
		u.hooks.Up(e.Server)
		u.delivery.Connected()
		select {
		case connected <- struct{}{}:
		default: // the reporter has not seen the last one yet
		}
	}
	if e.Kind == transport.EventDown {
		u.hooks.Down(e.Server, e.Why)
	}
	line := u.floods.Line(level, "uplink "+string(e.Kind), eventsFirst(e.Kind))
	line = line.Str("server", e.Server).Int64("session", u.sessionsBefore()+e.Session)
	supervise.Str(line, "why", e.Why).Msg("uplink " + string(e.Kind))
}

// notePageFault is called at each try to listen, with nil when it worked. It logs one line for each change.
func (u *uplinkRun) notePageFault(err error) {
	text := ""
	if err != nil {
		text = fmt.Sprintf("the status page cannot listen: %v", err)
	}
	switch changed := u.pageFault.Set(text); {
	case changed && err != nil:
		u.log.Warn().Err(err).Msg("status page cannot listen, trying again")
	case changed:
		u.log.Info().Msg("status page is listening")
	}
}
