package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/transport"
)

// generation is the agent under one configuration. Serial devices and the log level change within a generation; anything
// else ends it in order and begins the next one, over the same spools on disk.
type generation struct {
	log     zerolog.Logger
	level   *level
	version string
	started time.Time
	load    func() (config.Booted, error)

	id      string
	clock   clock
	state   *stateDir
	spools  *stateDir // spool.dir, locked; nil before
	data    *spool.Spool
	replies *spool.Spool
	link    *transport.Link
	routes  *routes
	topics  wire.Topics
	devices *devices
	down    *downlink
	up      *pump
	losses  *losses
	report  *reporter
	page    *statuspage.Page
	pulses  *pulses
	memory  *memory
	hint    *pathHint // nil: none

	mu       sync.Mutex
	booted   config.Booted // what is in use; guarded by mu
	reloadNo string        // why the last reload was not taken; guarded by mu
	pageNo   string        // why there is no status page; guarded by mu
}

// generation builds everything; nothing runs yet.
func (a *Agent) generation(b config.Booted) (*generation, error) {
	a.level.set(levelOf(b.Document))
	g := &generation{log: a.log, level: a.level, version: a.o.Version, started: a.started, load: a.o.Load, booted: b,
		clock: newClock(a.o.Built), pulses: &pulses{}}
	g.sayBooted()
	var err error
	if g.state, err = openState(b.Document.StateDir); err != nil {
		return nil, err
	}
	if g.state.fault != nil {
		g.log.Error().Err(g.state.fault).Msg("state directory cannot be used, nothing survives a restart")
	}
	if g.id, err = b.Document.ResolveID(config.Host{}, b.Store); errors.Is(err, config.ErrNotKept) {
		g.log.Warn().Err(err).Msg("the identity may change with the network card")
	} else if err != nil {
		return nil, errors.Join(err, g.state.close())
	}
	g.topics = topicsOf(b.Document, g.id)
	if err := g.openSpools(); err != nil {
		return nil, errors.Join(err, g.state.close())
	}
	if err := g.compose(); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

func (g *generation) openSpools() error {
	d := g.booted.Document
	dir := d.SpoolDir()
	var err error
	if g.spools, err = lockSpool(dir); err != nil {
		return err
	}
	data, err := spool.Open(spool.Dir(filepath.Join(dir, "data")), spoolOptions(d.Spool))
	if err != nil {
		return errors.Join(fmt.Errorf("spool: %w", err), g.spools.close())
	}
	o := spoolOptions(d.Spool)
	o.MaxBytes, o.MemoryBytes = repliesBytes, repliesBytes
	answers, err := spool.Open(spool.Dir(filepath.Join(dir, "replies")), o)
	if err != nil {
		return errors.Join(fmt.Errorf("reply spool: %w", err), data.Close(), g.spools.close())
	}
	g.data, g.replies = data, answers
	return nil
}

// compose makes the parts and ties them together.
func (g *generation) compose() error {
	d := g.booted.Document
	connected := make(chan struct{}, 1)
	o := linkOptions(d, g.id, g.topics)
	o.State = g.announce
	o.Notify = func(e transport.Event) { g.linkEvent(e, connected) }
	g.memory = openMemory(g.state.root, g.log, time.Now)
	hint := d.Uplink.PathHint // of the local file only: what the fleet sends must never run a command
	g.hint = newPathHint(hint.Command, hint.Every.Std(), g.log)
	o.Learning.Memory, o.Learning.Path = g.memory, (&paths{g.hint}).name
	var err error
	if g.link, err = transport.New(o); err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	g.routes = &routes{topic: g.topics.Data}
	table := routesOf(d, g.topics)
	g.routes.table.Store(&table)
	g.devices = &devices{spool: g.data, clock: g.clock, log: g.log, pulses: g.pulses, running: map[string]*runningDevice{}}
	g.devices.want(devicesOf(d), g.booted.Disabled)
	journal, err := openJournal(g.state.root)
	if err != nil {
		g.log.Error().Err(err).Msg("commands that ran before the restart may be forgotten")
	}
	g.down = &downlink{topic: g.topics.Cmd + wire.WriteSuffix, device: g.devices.target, replies: g.replies, journal: journal,
		clock: g.clock, log: g.log, pulse: g.pulses.of("commands"),
		intake: make(chan arrival, intakeMessages), outcomes: make(chan outcome, intakeMessages)}
	g.link.Handle(wire.Filter(g.topics.Cmd)+wire.WriteSuffix, g.down.arrived)
	g.up = &pump{link: g.link, log: g.log, pulse: g.pulses.of("pump"), lanes: []*lane{
		newLane(g.replies, replies{g.topics.Reply}),
		newLane(g.data, frames{clock: g.clock, routes: g.routes}),
	}}
	g.losses = newLosses(g.log, g.data, g.replies)
	g.report = &reporter{link: g.link, info: g.topics.Info, stats: g.topics.Stats, statsEvery: d.Stats.Every.Std(),
		status: g.status, connected: connected, log: g.log}
	if d.HTTP.Listen != "" {
		g.page = statuspage.New(statuspage.Options{Listen: d.HTTP.Listen, Status: g.status, Healthy: g.healthy, Fault: g.pageFault})
	}
	return nil
}

// run runs the parts until ctx is done (next is nil) or a reload needs another generation (next is its configuration).
func (g *generation) run(ctx context.Context, reload <-chan struct{}) (next *config.Booted, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	watch := func(ctx context.Context) error {
		next = g.watch(ctx, reload)
		if next != nil {
			end()
		}
		<-ctx.Done()
		return nil
	}
	// Started in this order, stopped in the reverse one: see the package documentation.
	parts := group{
		{name: "page", run: g.runPage},
		{name: "spool", run: g.data.Run},
		{name: "reply spool", run: g.replies.Run},
		{name: "losses", run: g.losses.run},
		{name: "path memory", run: g.memory.run},
		{name: "path hint", run: g.hint.run},
		{name: "uplink", run: g.runLink, stop: 10 * time.Second},
		{name: "report", run: g.report.run},
		{name: "pump", run: g.up.run, stop: drainFor + 2*time.Second},
		{name: "commands", run: g.down.run},
		{name: "serial devices", run: g.devices.run, stop: 10 * time.Second},
		{name: "supervision", run: watch},
	}
	err = parts.run(ctx)
	g.say("STOPPING=1")
	return next, err
}

func (g *generation) runLink(ctx context.Context) error {
	g.hint.await(ctx)
	return g.link.Run(ctx)
}

func (g *generation) runPage(ctx context.Context) error {
	if g.page == nil {
		<-ctx.Done()
		return nil
	}
	return g.page.Run(ctx)
}

// close ends what run leaves: the spools write what memory holds. Called after run, or instead of it.
func (g *generation) close() error {
	return errors.Join(g.data.Close(), g.replies.Close(), g.spools.close(), g.state.close())
}

// announce is the birth (online) and the will of a session.
func (g *generation) announce(online bool, s transport.Session) []byte {
	return wire.State{Online: online, Session: s.Number, Epoch: g.data.Epoch(), Since: s.Since.UnixMilli(), Version: g.version,
		Server: s.Server}.Append(nil)
}

// linkEvent logs one change of the link.
func (g *generation) linkEvent(e transport.Event, connected chan<- struct{}) {
	line := g.log.Warn()
	if e.Kind == transport.EventUp {
		line = g.log.Info()
		select {
		case connected <- struct{}{}:
		default: // the reporter has not seen the last one yet
		}
	}
	line.Str("server", e.Server).Int64("session", e.Session).Str("why", e.Why).Msg("uplink " + string(e.Kind))
}

func (g *generation) pageFault(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pageNo = ""
	if err != nil {
		g.pageNo = fmt.Sprintf("the status page has no address: %v", err)
		g.log.Warn().Err(err).Msg("status page cannot listen, trying again")
	}
}

// say tells the service manager; failing that is no reason to stop.
func (g *generation) say(state string) {
	if err := sdNotify(state); err != nil {
		g.log.Warn().Err(err).Msg("service manager not told")
	}
}

func levelOf(d *config.Document) zerolog.Level {
	l, err := zerolog.ParseLevel(d.Log.Level)
	if err != nil { // config allows only zerolog's words
		return zerolog.InfoLevel
	}
	return l
}
