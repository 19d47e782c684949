package agent

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/linkbeat/linkbeat/agent/downlink"
	"github.com/linkbeat/linkbeat/agent/exec"
	"github.com/linkbeat/linkbeat/agent/ledger"
	"github.com/linkbeat/linkbeat/agent/pathstore"
	"github.com/linkbeat/linkbeat/agent/pump"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statedir"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/config"
)

// site is what the agent has on this machine: its directories, the spools in them, the serial devices and the commands to them.
// Uplinks come and go above it, and no port closes for that.
type site struct {
	*Agent
	dirs    statedir.Dirs
	data    *spool.Spool
	high    *spool.Spool // of devices with priority high
	replies *spool.Spool
	paths   *pathstore.Store
	ledger  *ledger.Ledger
	access  *access

	quarantine *pump.Quarantine
	losses     *losses
	devices    *devices
	down       *downlink.Downlink
	facts      *exec.Facts
	hooks      *exec.Hooks
	told       *told
	next       chan *uplinkRun // from supervision to the uplink
}

// succession is what follows a site.
type succession struct {
	booted config.Booted
	dirs   statedir.Dirs // locked already; those that did not change are still the old site's
}

// openSite builds a site with its first uplink; nothing runs yet. The directories that it does not use are closed.
func (a *Agent) openSite(b config.Booted, p statedir.Dirs) (*site, error) {
	p, err := statedir.Open(b.Document, p)
	if err != nil {
		return nil, err
	}
	s := &site{Agent: a, dirs: p, told: &told{}, next: make(chan *uplinkRun)}
	id, err := a.identify(b)
	if err != nil {
		return nil, errors.Join(err, p.Close(statedir.Dirs{}))
	}
	a.begin(b, id)
	for _, d := range p.All() {
		if d.Fault != nil {
			a.log.Error().Err(d.Fault).Msg("directory cannot be used, nothing in it survives a restart")
		}
	}
	if err := s.openSpools(b.Document); err != nil {
		return nil, errors.Join(err, p.Close(statedir.Dirs{}))
	}
	s.equip(b)
	u, err := s.compose(b, id)
	if err != nil {
		s.close(nil)
		return nil, err
	}
	a.mu.Lock()
	a.current = u
	a.mu.Unlock()
	a.use(b)
	return s, nil
}

// begin logs how a run or a site begins.
func (a *Agent) begin(b config.Booted, id string) {
	a.level.Set(levelOf(b.Document))
	a.log.Info().Str("version", a.o.Version).Str("id", id).Str("config", string(b.Origin)).Str("state_dir", b.Document.StateDir).
		Msg("linkbeat begins")
	a.sayBooted(b)
}

// identify is the id of the gateway under a configuration.
func (a *Agent) identify(b config.Booted) (string, error) {
	id, err := b.Document.ResolveID(config.Host{}, b.Store)
	if errors.Is(err, config.ErrNotKept) {
		a.log.Warn().Err(err).Msg("the identity may change with the network card")
		err = nil
	}
	return id, err
}

func (s *site) openSpools(d *config.Document) error {
	dir := d.SpoolDir()
	data, err := spool.Open(spool.Dir(filepath.Join(dir, "data")), spoolOptions(d.Spool))
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	high, err := spool.Open(spool.Dir(filepath.Join(dir, "high")), spoolOptions(d.Spool))
	if err != nil {
		return errors.Join(fmt.Errorf("spool of priority high: %w", err), data.Close())
	}
	o := spoolOptions(d.Spool)
	o.MaxBytes, o.MemoryBytes = repliesBytes, repliesBytes
	answers, err := spool.Open(spool.Dir(filepath.Join(dir, "replies")), o)
	if err != nil {
		return errors.Join(fmt.Errorf("reply spool: %w", err), data.Close(), high.Close())
	}
	s.data, s.high, s.replies = data, high, answers
	return nil
}

// equip makes what works on the spools.
func (s *site) equip(b config.Booted) {
	s.paths = pathstore.Open(s.dirs.State.Root, s.log, time.Now, s.clock.Unset)
	s.mu.Lock()
	counted := s.before.bytes
	s.mu.Unlock()
	s.ledger = ledger.Open(s.dirs.State.Root, s.log, time.Now, s.clock.Unset, counted)
	s.quarantine, s.access = pump.OpenQuarantine(s.dirs.State.Root), &access{}
	s.losses = newLosses(s.log, s.data, s.high, s.replies)
	s.devices = newDevices(s.data, s.high, s.clock, s.log, s.liveness, s.before.serial)
	s.devices.want(devicesOf(b.Document), b.Disabled)
	s.facts, s.hooks = exec.NewFacts(s.log), exec.NewHooks(s.log)
	s.facts.Configure(b.Document.Device.Facts)
	s.hooks.Configure(b.Document.Hooks)
	journal, err := downlink.OpenJournal(s.dirs.State.Root)
	if err != nil {
		s.log.Error().Err(err).Msg("commands that ran before the restart may be forgotten")
	}
	s.down = downlink.New(s.devices.target, s.replies, journal, s.clock, s.log, s.liveness.Loop("commands"))
}

// account records in the ledger what was counted, and sets the link's budget level.
func (s *site) account() {
	u := s.uplink()
	if u == nil || u.site != s {
		return
	}
	s.mu.Lock() // before the link is asked: what an earlier one counted is added once
	before := s.before.bytes
	s.mu.Unlock()
	link := u.link.Status()
	s.ledger.Record(before.Plus(statuspage.Bytes(link.Bytes)), link.Interface)
	u.link.Frugal(s.ledger.Level())
}

// run runs the site until ctx is done (next is nil) or a reload needs another one.
func (s *site) run(ctx context.Context, reload <-chan struct{}) (next *succession, err error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	watch := func(ctx context.Context) error {
		if next = s.watch(ctx, reload); next != nil {
			s.uplink().pump.HandOver()
			end()
		}
		<-ctx.Done()
		return nil
	}
	// Started in this order, stopped in the reverse one: see the package documentation.
	err = supervise.Group{
		{Name: "spool", Run: s.data.Run},
		{Name: "spool of priority high", Run: s.high.Run},
		{Name: "reply spool", Run: s.replies.Run},
		{Name: "losses", Run: s.losses.run},
		{Name: "path memory", Run: s.paths.Run},
		{Name: "ledger", Run: func(ctx context.Context) error { return s.ledger.Run(ctx, s.account) }},
		{Name: "commands", Run: s.down.Run},
		{Name: "facts", Run: s.facts.Run},
		{Name: "hooks", Run: s.hooks.Run, Stop: 2 * exec.HookStop}, // one that runs, and the last one
		{Name: "uplink", Run: s.runUplink, Stop: uplinkStop},
		{Name: "serial devices", Run: s.devices.run, Stop: deviceStop + time.Second},
		{Name: "supervision", Run: watch, Stop: uplinkStop},
	}.Run(ctx)
	return next, err
}

// runUplink runs one uplink after the other until ctx is done.
func (s *site) runUplink(ctx context.Context) error {
	for u := s.uplink(); ; {
		next, err := u.run(ctx, s.next)
		if next == nil || errors.Is(err, supervise.ErrStuck) { // two links under one name, or two pumps on one spool, fight each other
			return err
		}
		if err != nil {
			s.log.Error().Err(err).Msg("not everything stopped as it should")
		}
		last := u.link.Status()
		s.mu.Lock()
		s.before.addUplink(last)
		s.current = next
		s.mu.Unlock()
		u = next
	}
}

// close ends what run leaves: the spools write what memory holds. The directories that next goes on with stay open. A fault of the
// disk is said and ends nothing.
func (s *site) close(next *succession) {
	keep := statedir.Dirs{}
	if next != nil {
		keep = next.dirs
	}
	s.account()
	s.ledger.Write()
	err := errors.Join(s.data.Close(), s.high.Close(), s.replies.Close(), s.dirs.Close(keep))
	if err != nil {
		s.log.Error().Err(err).Msg("not everything could be written at the end")
	}
	u := s.uplink()
	if u == nil || u.site != s {
		return // it never ran
	}
	last := u.link.Status()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
	s.before.addUplink(last)
	s.before.addSite(s)
}
