package agent

import (
	"context"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/config"
)

// watch supervises a generation: it tells the service manager when all is started, feeds its watchdog while the loops make
// progress, and reloads. It returns a configuration that needs another generation, or nil when ctx is done.
func (g *generation) watch(ctx context.Context, reload <-chan struct{}) *config.Booted {
	g.putToUse()
	g.say("READY=1")
	interval := watchdogInterval()
	if interval == 0 {
		interval = time.Minute
	}
	feed := time.NewTicker(interval)
	defer feed.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-feed.C:
			g.feed()
		case <-reload:
			if next := g.reload(); next != nil {
				return next
			}
		}
	}
}

// feed feeds the watchdog while the loops make progress. Making a status takes every lock there is: a part that holds one
// for ever starves the watchdog too.
func (g *generation) feed() {
	if err := g.healthy(); err != nil {
		g.log.Error().Err(err).Msg("a loop is stuck, the watchdog is not fed")
		return
	}
	g.status()
	g.say("WATCHDOG=1")
}

func (g *generation) healthy() error { return g.pulses.check(time.Now()) }

// reload reads the configuration again. A bad one changes nothing; one that differs only in what can be changed while
// running is applied; for any other the generation must end, and it is returned.
func (g *generation) reload() *config.Booted {
	next, err := g.load()
	if err != nil || next.Origin != config.FromFile {
		why := next.Faults.Error()
		g.mu.Lock()
		g.reloadNo = why
		g.mu.Unlock()
		g.log.Error().Str("why", why).Msg("configuration not reloaded, the running one goes on")
		return nil
	}
	g.mu.Lock()
	now := g.booted
	g.reloadNo = ""
	g.mu.Unlock()
	g.sayChanges(now.Document, next.Document)
	if !sameButSerial(now.Document, next.Document) {
		return &next
	}
	g.apply(next)
	return nil
}

// maxChanges is how many changes of a reload are logged, a line each.
const maxChanges = 20

// sayChanges logs what a reload changed; a device that came or went is one change, whatever it holds.
func (g *generation) sayChanges(a, b *config.Document) {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(b.Serial)) {
		if a.Serial[name] == nil {
			lines = append(lines, "serial."+name+": added")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a.Serial)) {
		if b.Serial[name] == nil {
			lines = append(lines, "serial."+name+": removed")
		}
	}
	for _, c := range config.Diff(a, b) {
		rest, inSerial := strings.CutPrefix(c.Path, "serial.")
		name, _, _ := strings.Cut(rest, ".")
		if !inSerial || a.Serial[name] != nil && b.Serial[name] != nil {
			lines = append(lines, c.String())
		}
	}
	g.log.Info().Int("changes", len(lines)).Msg("configuration reloaded")
	for _, line := range lines[:min(len(lines), maxChanges)] {
		g.log.Info().Msg("changed: " + line)
	}
}

// apply changes what can change within a generation.
func (g *generation) apply(next config.Booted) {
	g.mu.Lock()
	g.booted = next
	g.mu.Unlock()
	g.level.set(levelOf(next.Document))
	table := routesOf(next.Document, g.topics)
	g.routes.table.Store(&table)
	g.devices.want(devicesOf(next.Document), next.Disabled)
	g.putToUse()
}

// putToUse keeps the document that runs now as the last good one.
func (g *generation) putToUse() {
	g.mu.Lock()
	b := g.booted
	g.mu.Unlock()
	if b.Source == nil || len(b.Disabled) > 0 {
		return // it is the last good one already, or not wholly good
	}
	if err := b.Store.SaveGood(b.Source); err != nil {
		g.log.Warn().Err(err).Msg("last good configuration not kept")
	}
}

// sameButSerial tells whether two documents differ at most in what apply can change.
func sameButSerial(a, b *config.Document) bool {
	x, y := *a, *b
	x.Serial, y.Serial = nil, nil
	x.Log.Level, y.Log.Level = "", ""
	return reflect.DeepEqual(x, y)
}

// sayBooted logs which configuration runs and what is wrong with it.
func (g *generation) sayBooted() {
	b := g.booted
	for _, f := range b.Faults {
		g.log.Error().Str("path", f.Path).Str("runs", string(b.Origin)).Msg("configuration: " + f.String())
	}
	for _, w := range b.Warnings {
		g.log.Warn().Str("path", w.Path).Msg(w.String())
	}
}
