package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/linkbeat/linkbeat/agent/downlink"
	"github.com/linkbeat/linkbeat/agent/exec"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/ledger"
	"github.com/linkbeat/linkbeat/agent/pathstore"
	"github.com/linkbeat/linkbeat/agent/pump"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statedir"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/config"
)

// localState is what the agent has on this machine, and what outlives an uplink: its directories, the spools in them, the serial
// devices and the commands to them. Uplinks come and go above it, and no port closes for that.
type localState struct {
	*Agent
	home    *config.Document // names its directories
	dirs    statedir.Dirs
	barred  supervise.Fault // what in them may not be used
	waits   bool            // of supervision: something was left alone since the start
	data    *spool.Spool
	high    *spool.Spool // of devices with priority high
	replies *spool.Spool
	paths   *pathstore.Store
	ledger  *ledger.Ledger

	quarantine *pump.Quarantine
	losses     *losses
	devices    *devices
	down       *downlink.Downlink
	facts      *exec.Facts
	hooks      *exec.Hooks
	lastReport *lastReport
	next       chan *uplinkRun // from supervision to the uplink
}

// succession is what follows a local state.
type succession struct {
	booted config.Booted
	dirs   statedir.Dirs // locked already; those that did not change are still the old one's
	call   *reloadCall   // who asked for it; nil: SIGHUP
}

// openLocal builds a local state with its first uplink; nothing runs yet. The directories that it does not use are closed.
func (a *Agent) openLocal(b config.Booted, p statedir.Dirs) (*localState, error) {
	p, err := statedir.Open(b.Document, p)
	if err != nil {
		return nil, err
	}
	l := &localState{Agent: a, home: b.Document, dirs: p, lastReport: &lastReport{}, next: make(chan *uplinkRun)}
	id, err := a.identify(b)
	if err != nil {
		return nil, errors.Join(err, p.Close(statedir.Dirs{}))
	}
	a.begin(b, id)
	for _, d := range p.All() {
		if d.Fault != nil {
			a.log.Error().Err(d.Fault).Msg("directory cannot be used, nothing in it survives a restart")
		}
		if d.Others != "" { // where nothing mends it, it is said here alone
			a.log.Warn().Str("why", d.Others).Msg("others can change what is kept here, and so what is believed of it")
		}
	}
	if err := l.openSpools(b.Document); err != nil {
		return nil, errors.Join(err, p.Close(statedir.Dirs{}))
	}
	l.equip(b)
	l.look(time.Now())
	u, err := l.compose(b, id)
	if err != nil {
		l.close(nil)
		return nil, err
	}
	a.mu.Lock()
	a.current = u
	a.mu.Unlock()
	a.use(b)
	return l, nil
}

// begin logs how the program, or after a reload another local state, begins: the one that was in use before where the new one
// could not.
func (a *Agent) begin(b config.Booted, id string) {
	a.level.Set(levelOf(b.Document))
	what := "linkbeat started"
	if used := a.inUse(); used.Document != nil {
		what = "linkbeat goes on with another state_dir or spool"
		if sameLocal(used.Document, b.Document) {
			what = "linkbeat goes on with the previous state_dir and spool"
		}
	}
	a.log.Info().Str("version", a.o.Version).Str("id", id).Str("config", string(b.Origin)).Str("state_dir", b.Document.StateDir).
		Msg(what)
	a.sayBooted(b)
}

// identify is the id of the gateway under a configuration.
func (a *Agent) identify(b config.Booted) (string, error) {
	id, err := b.Document.ResolveID(config.Host{}, b.Store)
	fault := ""
	if errors.Is(err, config.ErrNotKept) {
		a.log.Warn().Err(err).Msg("the device id was not kept: it changes with the network card")
		fault = fmt.Sprintf("%v: with another network card the device id changes; set device.id, if it must not", err)
		err = nil
	}
	a.mu.Lock()
	a.identityFault = fault
	a.mu.Unlock()
	return id, err
}

func (l *localState) openSpools(d *config.Document) error {
	dir := d.SpoolDir()
	data, err := spool.Open(spool.Dir(filepath.Join(dir, "data")), spoolOptions(d.Spool, l.clock))
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	high, err := spool.Open(spool.Dir(filepath.Join(dir, "high")), spoolOptions(d.Spool, l.clock))
	if err != nil {
		return errors.Join(fmt.Errorf("spool of priority high: %w", err), data.Close())
	}
	o := spoolOptions(d.Spool, l.clock)
	o.MaxBytes, o.MemoryBytes = repliesBytes, repliesBytes
	answers, err := spool.Open(spool.Dir(filepath.Join(dir, "replies")), o)
	if err != nil {
		return errors.Join(fmt.Errorf("reply spool: %w", err), data.Close(), high.Close())
	}
	l.data, l.high, l.replies = data, high, answers
	l.losses = newLosses(l.log, l.data, l.high, l.replies)
	for _, s := range l.losses.spools {
		st := s.spool.Status()
		for _, why := range []string{st.Why, st.Found} {
			if why != "" {
				l.log.Warn().Str("spool", s.name).Str("why", why).Msg("spool: not all is well with its disk at the start")
			}
		}
	}
	return nil
}

// equip makes what works on the spools.
func (l *localState) equip(b config.Booted) {
	l.paths = pathstore.Open(l.dirs.State.Root, l.log, time.Now, func() bool { return !l.clock.Believed() })
	l.mu.Lock()
	counted := l.before.bytes
	l.mu.Unlock()
	l.ledger = ledger.Open(l.dirs.State.Root, l.log, time.Now, l.clock.Unset, counted)
	l.quarantine = pump.OpenQuarantine(l.dirs.State.Root)
	l.losses = newLosses(l.log, l.data, l.high, l.replies)
	l.devices = newDevices(l.data, l.high, l.clock, l.log, l.liveness, l.before.serial)
	l.devices.configure(devicesOf(b.Document), b.Disabled)
	l.facts, l.hooks = exec.NewFacts(l.log), exec.NewHooks(l.log)
	l.facts.Configure(b.Document.Device.Facts)
	l.hooks.Configure(b.Document.Hooks)
	journal, err := downlink.OpenJournal(l.dirs.State.Root, l.clock.Now())
	if err != nil {
		l.log.Error().Err(err).Msg("not all is known of the commands from before the restart")
	}
	l.down = downlink.New(l.devices.target, l.replies, journal, l.clock, l.log, l.liveness.Loop("commands"))
	l.down.Charge(flood.Toll{Pay: l.payRefused, Spent: l.ledger.RefusedSpent})
}

// payRefused books what a refused command has cost on the link that there is.
func (l *localState) payRefused(bytes int) {
	if u := l.uplink(); u != nil {
		u.link.Refuse(bytes)
	}
}

// account records in the ledger what was counted, and sets the link's budget level.
func (l *localState) account() {
	u := l.uplink()
	if u == nil || u.localState != l {
		return
	}
	l.mu.Lock() // before the link is asked: what an earlier one counted is added once
	before := l.before.bytes
	l.mu.Unlock()
	link := u.link.Status()
	l.ledger.Record(before.Plus(statuspage.Bytes(link.Bytes)), link.Interface)
	u.link.SetBudgetLevel(l.ledger.Level())
	u.link.Mute(l.ledger.Muted())
}

// run runs it until ctx is done (next is nil) or a reload needs another one.
func (l *localState) run(ctx context.Context, reload <-chan struct{}) (next *succession, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	watch := func(ctx context.Context) error {
		if next = l.watch(ctx, reload); next != nil {
			l.uplink().pump.HandOver()
			end()
		}
		<-ctx.Done()
		return nil
	}
	// Started in this order, stopped in the reverse one: see the package documentation.
	err = supervise.Group{
		{Name: "spool", Run: l.data.Run},
		{Name: "spool of priority high", Run: l.high.Run},
		{Name: "reply spool", Run: l.replies.Run},
		{Name: "losses", Run: l.losses.run},
		{Name: "path memory", Run: l.paths.Run},
		{Name: "ledger", Run: func(ctx context.Context) error { return l.ledger.Run(ctx, l.account) }},
		{Name: "commands", Run: l.down.Run},
		{Name: "facts", Run: l.facts.Run},
		{Name: "hooks", Run: l.hooks.Run, Stop: 2 * exec.HookStop}, // one that runs, and the last one
		{Name: "uplink", Run: l.runUplink, Stop: uplinkStop},
		{Name: "serial devices", Run: l.devices.run, Stop: deviceStop + time.Second},
		{Name: "supervision", Run: watch, Stop: uplinkStop},
	}.Run(ctx)
	return next, err
}

// runUplink runs one uplink after the other until ctx is done.
func (l *localState) runUplink(ctx context.Context) error {
	for u := l.uplink(); ; {
		next, err := u.run(ctx, l.next)
		if next == nil || errors.Is(err, supervise.ErrStuck) {
			// two links under one name, or two pumps on one spool, fight each other
			return err
		}
		if err != nil {
			l.log.Error().Err(err).Msg("not all parts of the previous uplink stopped cleanly")
		}
		last := u.link.Status()
		l.mu.Lock()
		l.before.addUplink(last)
		l.current = next
		l.mu.Unlock()
		u = next
	}
}

// close ends what run leaves: the spools write what memory holds. The directories that next uses stay open. A fault of the
// disk is logged and stops nothing.
func (l *localState) close(next *succession) {
	keep := statedir.Dirs{}
	if next != nil {
		keep = next.dirs
	}
	l.account()
	l.ledger.Write()
	l.takeUp(next)
	err := errors.Join(l.data.Close(), l.high.Close(), l.replies.Close(), l.dirs.Close(keep))
	if err != nil {
		l.log.Error().Err(err).Msg("spools could not be written completely at the stop")
	}
	u := l.uplink()
	if u == nil || u.localState != l {
		return // it never ran
	}
	last := u.link.Status()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current = nil
	l.before.addUplink(last)
	l.before.addLocal(l)
}
