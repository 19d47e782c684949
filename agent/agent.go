// Package agent composes linkbeat: it is the only package that knows its siblings, and it holds the policy that none of them
// has. It translates the configuration into their options, starts and stops them in order, and carries records between them.
//
// # The way of a byte
//
//	UP    bridge.Device → devices: a frame becomes a record → spool.Append → pump: lane, batch, publish
//	        → transport.Publisher.Send → PUBACK → spool.Ack
//	DOWN  transport.Link → downlink: parsed, checked, id on disk, checked again → bridge.Device.Write → written and drained
//	        → reply → its spool → up
//
// What a device sends is a frame. From the spool on, with its number, it is a record: record.Stored on disk, spool.Record when it
// is read, wire.DeviceRecord when its format encodes it. A publish is one MQTT message with one record or a batch of them; it is
// in flight until its PUBACK.
//
// The network never slows the serial side: between them stands the spool, and what that drops is counted and marked in the
// stream.
//
// # Three lives
//
//	Agent       the process: log, watchdog, what the counters of the two below had reached when they ended
//	localState  what is on this machine: directories, spools, serial devices, commands. Starts again when state_dir or
//	            spool changes
//	uplinkRun   what is on the way to the server: link, pump, reports, page. Starts again when anything else changes
//
// A reload that changes only serial devices or the log level restarts neither.
//
// # Stopping
//
// Devices first, so that their last frames are in the spool; then the pump drains for a few seconds; then the link says offline
// and disconnects; then the commands, which heard how the devices ended and answer what was not carried out; then what is known
// of the path is saved; then the spools write what is left. Where another uplink follows, nothing drains: that one continues.
package agent

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/statedir"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/config"
)

// Options configure an Agent.
type Options struct {
	Version string                        // of the program
	Built   time.Time                     // of the binary: a clock before it is unset; zero: every clock is believed
	Load    func() (config.Booted, error) // reads the configuration, at the start and for every reload
	Log     io.Writer                     // zerolog's JSON lines
	Runtime string                        // $RUNTIME_DIRECTORY, for the socket; if empty, /run/linkbeat
}

// Agent is linkbeat on a gateway. Create it with New, run it once.
type Agent struct {
	o        Options // immutable, as all but mu's
	log      zerolog.Logger
	level    *supervise.Level
	started  time.Time
	clock    clock.Clock
	liveness *supervise.Liveness
	floods   *flood.Log // of what strangers cause one for one
	door     *door
	calls    chan *reloadCall // from the door to supervision
	tookUp   time.Time        // of supervision: when what had been left alone was taken up; zero: never

	mu            sync.Mutex
	booted        config.Booted       // what is in use
	reloadFault   string              // why the last reload was not taken
	identityFault string              // why the identity was not as it was left, or could not be kept
	outcome       statuspage.Reloaded // of the last reload
	current       *uplinkRun          // the one that runs; nil between two local states
	before        totals              // of uplinks and local states that are over
}

// New returns an agent that is not running.
func New(o Options) *Agent {
	lv := &supervise.Level{}
	lv.Set(zerolog.InfoLevel)
	a := &Agent{o: o, level: lv, log: supervise.NewLog(o.Log, lv), started: time.Now(),
		clock: clock.New(o.Built), liveness: &supervise.Liveness{}, calls: make(chan *reloadCall)}
	a.floods = flood.NewLog(a.log)
	a.door = newDoor(a)
	return a
}

// stopWithin is how long all of the agent may take to stop, before it is abandoned.
const stopWithin = 2 * time.Minute

// Run runs the agent until ctx is done, and reloads the configuration for every signal on reload. The error is nil after
// ctx, and wraps config.ErrNoUplink when there is no usable configuration at all.
func (a *Agent) Run(ctx context.Context, reload <-chan struct{}) error {
	booted, err := a.o.Load()
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() {
		a.say("STOPPING=1") // before anything stops
		stop()
		a.log.Info().Str("why", "asked to stop").Msg("linkbeat stopping") // last: a log that nobody reads may block
	})()
	// The watchdog is fed while local states come and go, and until the last of them has ended; so long the socket answers.
	err = supervise.Group{
		{Name: "watchdog", Run: a.guard},
		{Name: "local socket", Run: a.door.run},
		{Name: "agent", Run: func(ctx context.Context) error { return a.runLocal(ctx, booted, reload) }, Stop: stopWithin},
	}.Run(running)
	if ctx.Err() == nil {
		a.log.Error().Err(err).Msg("linkbeat exited: a part of it failed")
		return err
	}
	if err != nil {
		a.log.Error().Err(err).Msg("not all parts of linkbeat stopped cleanly")
	}
	a.floods.Flush()
	a.log.Info().Msg("linkbeat exited")
	return nil
}

// runLocal runs one local state after the other until ctx is done. Where one cannot begin, the one before it is opened again.
func (a *Agent) runLocal(ctx context.Context, booted config.Booted, reload <-chan struct{}) error {
	l, err := a.openLocal(booted, statedir.Dirs{})
	if err != nil {
		return err
	}
	var call *reloadCall
	for {
		a.door.open()
		call.answer(a.lastReload()) // when there is a socket for who asks again
		next, err := l.run(ctx, reload)
		l.close(next)
		if next == nil {
			return err
		}
		if err != nil {
			a.log.Error().Err(err).Msg("not all parts stopped cleanly before a reload")
		}
		before := a.inUse()
		if l, err = a.openLocal(next.booted, next.dirs); err != nil {
			a.refuse(err.Error())
			if l, err = a.openLocal(before, statedir.Dirs{}); err != nil {
				return err
			}
		}
		call = next.call
	}
}

// inUse is the configuration that runs.
func (a *Agent) inUse() config.Booted {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.booted
}

// uplink is the one that runs, or nil.
func (a *Agent) uplink() *uplinkRun {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.current
}

// use is called when another configuration is put to use.
func (a *Agent) use(b config.Booted) {
	a.mu.Lock()
	a.booted = b
	a.mu.Unlock()
	a.level.Set(levelOf(b.Document))
}

// refuse is called when a reload is not taken.
func (a *Agent) refuse(why string) {
	a.log.Error().Str("why", why).Msg("configuration not reloaded, the previous one stays in use")
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reloadFault, a.outcome = why, statuspage.Reloaded{Fault: why}
}

// say tells the service manager; failing that is no reason to stop.
func (a *Agent) say(state string) {
	if err := supervise.Notify(state); err != nil {
		a.log.Warn().Err(err).Msg("sd_notify failed")
	}
}

func levelOf(d *config.Document) zerolog.Level {
	l, err := zerolog.ParseLevel(d.Log.Level)
	if err != nil { // config allows only zerolog's words
		return zerolog.InfoLevel
	}
	return l
}
