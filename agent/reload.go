package agent

import (
	"context"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/statedir"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/config"
)

// watch supervises a local state: it tells the service manager when all is started, and reloads. It returns what follows
// when a reload needs another one, or nil when ctx is done.
func (l *localState) watch(ctx context.Context, reload <-chan struct{}) *succession {
	l.putToUse()
	l.say("READY=1")
	loop := l.liveness.Loop("reload")
	defer loop.Gone()
	tick := time.NewTicker(barredLook)
	defer tick.Stop()
	for {
		var call *reloadCall
		select {
		case <-ctx.Done():
			return nil
		case <-reload:
		case call = <-l.calls:
		case <-tick.C:
			if next := l.look(time.Now()); next != nil {
				return next
			}
			continue
		}
		loop.Begin()
		l.say(supervise.Reloading())
		next := l.reload(ctx)
		loop.End()
		if next != nil { // which will say that it is ready
			next.call = call
			return next
		}
		l.say("READY=1")
		call.answer(l.lastReload())
	}
}

// reloadCall is a reload that somebody asked for over the socket; nil is one by SIGHUP.
type reloadCall struct{ done chan statuspage.Reloaded } // capacity 1

// answer is called once, when the outcome is known.
func (c *reloadCall) answer(r statuspage.Reloaded) {
	if c != nil {
		c.done <- r
	}
}

// lastReload is what came of the last reload.
func (a *Agent) lastReload() statuspage.Reloaded {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.outcome
}

// reload reads the configuration again. The smallest part that has to restart does:
//
//	a bad configuration                        nothing changes; nor with one that runs only at the start
//	only what can be changed while running     it is applied
//	another state_dir or spool                 the local state must end; what follows is returned
//	anything else                              the uplink ends and another one runs
//
// In each other case the link tries to connect at once: the reason of the reload may be a repaired password.
func (l *localState) reload(ctx context.Context) *succession {
	now := l.inUse()
	next, err := l.o.Load()
	switch {
	case err != nil:
		l.refuse(next.Faults.Sentence())
	case next.Refused() != "":
		l.refuse(next.Refused())
	case sameLocal(now.Document, next.Document) && l.waits:
		if again := l.look(time.Now()); again != nil {
			l.sayReload(now, next)
			again.booted = next
			return again
		}
		l.change(ctx, now, next)
	case !sameLocal(now.Document, next.Document):
		p, err := statedir.Open(next.Document, l.dirs)
		if err == nil {
			if err = p.Fault(l.dirs); err == nil {
				l.sayReload(now, next)
				return &succession{booted: next, dirs: p}
			}
			_ = p.Close(l.dirs) // they were never used
		}
		l.refuse(err.Error())
	default:
		l.change(ctx, now, next)
	}
	l.uplink().delivery.Again() // a person may have mended what is denied
	l.uplink().link.Retry()
	return nil
}

// change goes on under another configuration, with the local state that there is.
func (l *localState) change(ctx context.Context, now, next config.Booted) {
	if sameButSerial(now.Document, next.Document) {
		l.sayReload(now, next)
		l.apply(next)
		return
	}
	l.succeed(ctx, now, next)
}

// succeed makes an uplink for another configuration, and returns when it runs.
func (l *localState) succeed(ctx context.Context, now, next config.Booted) {
	id, err := l.identify(next)
	if err != nil {
		l.refuse(err.Error())
		return
	}
	u, err := l.compose(next, id)
	if err != nil {
		l.refuse(err.Error())
		return
	}
	l.sayReload(now, next)
	select {
	case l.next <- u:
	case <-ctx.Done():
		return
	}
	select {
	case <-u.begun:
	case <-ctx.Done():
		return
	}
	l.apply(next)
}

// sayReload logs what a reload brings, and keeps it for who asked.
func (l *localState) sayReload(now, next config.Booted) {
	lines := changes(now.Document, next.Document)
	shown := lines[:min(len(lines), maxChanges)]
	outcome := statuspage.Reloaded{Changes: shown, More: len(lines) - len(shown), Disabled: next.ConfigError}
	for _, w := range next.Warnings {
		outcome.Warnings = append(outcome.Warnings, w.String())
	}
	l.mu.Lock()
	l.reloadFault, l.outcome = "", outcome
	l.mu.Unlock()
	l.log.Info().Int("changes", len(lines)).Msg("configuration reloaded")
	for _, line := range shown {
		l.log.Info().Msg("configuration changed: " + line)
	}
	l.sayBooted(next)
}

// maxChanges is how many changes of a reload are told, a line each.
const maxChanges = 20

// changes is what a reload changed, a line each; a device that came or went is one change, whatever it holds.
func changes(was, is *config.Document) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(is.Serial)) {
		if was.Serial[name] == nil {
			lines = append(lines, "serial."+name+": added")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(was.Serial)) {
		if is.Serial[name] == nil {
			lines = append(lines, "serial."+name+": removed")
		}
	}
	for _, c := range config.Diff(was, is) {
		rest, inSerial := strings.CutPrefix(c.Path, "serial.")
		name, _, _ := strings.Cut(rest, ".")
		if !inSerial || was.Serial[name] != nil && is.Serial[name] != nil {
			lines = append(lines, c.String())
		}
	}
	return lines
}

// apply puts to use what can change within an uplink run.
func (l *localState) apply(next config.Booted) {
	l.use(next)
	l.uplink().route(next.Document)
	l.devices.configure(devicesOf(next.Document), next.Disabled)
	l.facts.Configure(next.Document.Device.Facts)
	l.hooks.Configure(next.Document.Hooks)
	l.putToUse()
}

// putToUse keeps the document that runs now as the last good one.
func (a *Agent) putToUse() {
	b := a.inUse()
	if b.Source == nil || len(b.Disabled) > 0 {
		return // it is the last good one already, or not wholly good
	}
	if err := b.Store.SaveGood(b.Source); err != nil {
		a.log.Warn().Err(err).Msg("last good configuration could not be saved")
	}
}

// sameLocal reports whether the local state can stay under another document.
func sameLocal(a, b *config.Document) bool {
	return filepath.Clean(a.StateDir) == filepath.Clean(b.StateDir) && reflect.DeepEqual(a.Spool, b.Spool)
}

// sameButSerial tells whether two documents differ at most in what apply can change.
func sameButSerial(a, b *config.Document) bool {
	x, y := *a, *b
	x.Serial, y.Serial = nil, nil
	x.Log.Level, y.Log.Level = "", ""
	x.Device.Facts, y.Device.Facts = nil, nil
	x.Hooks, y.Hooks = config.Hooks{}, config.Hooks{}
	return reflect.DeepEqual(x, y)
}

// sayBooted logs what is wrong with a configuration.
func (a *Agent) sayBooted(b config.Booted) {
	for _, f := range b.Faults {
		supervise.Str(a.log.Error(), "path", f.Path).Str("runs", string(b.Origin)).Msg("configuration: " + f.String())
	}
	for _, o := range b.Objections {
		supervise.Str(a.log.Warn(), "path", o.Path).Msg("configuration: a reload would be refused: " + o.String())
	}
	for _, w := range b.Warnings {
		supervise.Str(a.log.Warn(), "path", w.Path).Msg(w.String())
	}
}
