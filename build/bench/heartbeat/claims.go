package heartbeat

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// Scope chooses how much of the table is made.
type Scope struct {
	Limits     []time.Duration // of everything that runs for days
	Any        []time.Duration // of the time until proven
	Behaviours []transporttest.Behaviour
	Length     time.Duration // of a cell
	Rivals     bool
}

func seconds(all ...int) []time.Duration {
	var d []time.Duration
	for _, s := range all {
		d = append(d, time.Duration(s)*time.Second)
	}
	return d
}

// Short is what `make test` runs.
func Short() Scope {
	return Scope{Limits: seconds(60, 300), Any: seconds(45, 97, 300, 600), Length: 30 * time.Hour,
		Behaviours: []transporttest.Behaviour{transporttest.LooseSilent, transporttest.Strict}}
}

// Full is what `make bench-heartbeat` runs: limits from 30 s to 6 h, documented ones and others.
func Full() Scope {
	return Scope{
		Limits: seconds(30, 45, 60, 97, 150, 185, 239, 240, 300, 350, 430, 500, 600, 750, 900, 1100, 1680, 3600, 7440, 21600),
		Any:    anyLimits(),
		Behaviours: []transporttest.Behaviour{transporttest.LooseRST, transporttest.LooseSilent, transporttest.Strict,
			transporttest.SYNOnly}, Length: 72 * time.Hour, Rivals: true,
	}
}

// anyLimits are 650 values from 30 s to beyond the cap: evenly by their ratio, and every third second. Fewer would leave holes
// that a search can be tuned to, seen by nobody.
func anyLimits() []time.Duration {
	all := seconds(3600, 21600)
	for l := 30.0; l < 1200; l *= 1.0131 {
		all = append(all, time.Duration(l*float64(time.Second)))
	}
	for l := 30; l <= 1140; l += 3 {
		all = append(all, time.Duration(l)*time.Second)
	}
	return all
}

// documented are the limits of ours that vendors document.
func documented() []time.Duration { return seconds(30, 60, 239, 240, 300, 350) }

// worst keeps the worst value with the cell that it is from.
type worst struct {
	mu    sync.Mutex
	value float64
	where string
	least bool // the worst is the smallest
	any   bool
}

func (w *worst) see(v float64, where string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.any || w.least && v < w.value || !w.least && v > w.value {
		w.any, w.value, w.where = true, v, where
	}
}

// Table makes all claims.
func Table(t *testing.T, s Scope, table *kit.Table) {
	s.sound(t, table)
	s.proven(t, table)
	s.steady(t, table)
	s.shrink(t, table)
	s.memory(t, table)
	if s.Rivals {
		s.rivals(t, table)
	}
}

// strict are the behaviours at which a beat of ours notices that it came too late.
func (s Scope) strict() []transporttest.Behaviour {
	return s.pick(transporttest.Strict, transporttest.SYNOnly)
}

// loose are those at which it does not.
func (s Scope) loose() []transporttest.Behaviour {
	return s.pick(transporttest.LooseSilent, transporttest.LooseRST)
}

func (s Scope) pick(of ...transporttest.Behaviour) []transporttest.Behaviour {
	return slices.DeleteFunc(of, func(b transporttest.Behaviour) bool { return !slices.Contains(s.Behaviours, b) })
}

func modes() []heartbeat.Mode { return []heartbeat.Mode{heartbeat.Fast, heartbeat.Thrifty} }

// sound: nothing that learning does costs a connection or a command, whatever the weather; and what is learnt.
func (s Scope) sound(t *testing.T, table *kit.Table) {
	type job struct {
		p path
		m heartbeat.Mode
	}
	var jobs []job
	for _, limit := range s.Limits {
		for _, b := range s.Behaviours {
			for _, we := range []weather{clean, lossy, outages} {
				for _, m := range modes() {
					jobs = append(jobs, job{path{limit: limit, behaviour: b, weather: we, seed: uint64(len(jobs)),
						commands: true}, m})
				}
			}
		}
	}
	final := &worst{least: true}
	var mu sync.Mutex
	drops, late, commands, shrinks, hours, rough := 0, 0, 0, int64(0), 0.0, 0.0
	first := ""
	finals := map[string]time.Duration{}
	side(len(jobs), func(i int) {
		j := jobs[i]
		o := &ours{mode: j.m}
		r := try(t, j.p, o, s.Length)
		mu.Lock()
		defer mu.Unlock()
		drops, late, commands, hours = drops+r.drops, late+r.late, commands+r.commanded, hours+r.days*24
		if j.p.weather != clean {
			shrinks, rough = shrinks+o.link.Status().Heartbeat.Shrinks, rough+r.days*24
		}
		if r.drops+r.late > 0 && first == "" {
			first = fmt.Sprintf("%v %v: %d drops, %d late of %d", j.p, j.m, r.drops, r.late, r.commanded)
		}
		finals[fmt.Sprint(j.p.limit, j.p.behaviour, j.m, j.p.weather)] = r.final
		if part := r.final.Seconds() / j.p.reachable().Seconds(); j.p.weather == clean && j.p.limit >= 45*time.Second {
			final.see(part, fmt.Sprint(j.p, " ", j.m))
		}
	})
	table.Say("ours: %d cells of %v each, %.0f virtual hours, %d commands", len(jobs), s.Length, hours, commands)
	table.Exactly("ours: drops of the main link caused by learning", drops, 0, "", first)
	table.Exactly("ours: commands late or lost because of learning", late, 0, "", first)
	table.AtLeast("ours: final interval / limit, worst ("+final.where+")", final.value, 0.945, "")
	drift := &worst{}
	for _, j := range jobs {
		if j.p.weather != clean {
			was := finals[fmt.Sprint(j.p.limit, j.p.behaviour, j.m, clean)]
			is := finals[fmt.Sprint(j.p.limit, j.p.behaviour, j.m, j.p.weather)]
			drift.see(100*(was-is).Seconds()/was.Seconds(), fmt.Sprint(j.p, " ", j.m))
		}
	}
	table.AtMost("ours: final interval below that of the clean run, worst ("+drift.where+")", drift.value, 5, "%")
	table.AtMost(fmt.Sprintf("ours: wrong shrinks with 5 %% loss or outages, %.0f virtual hours", rough),
		1000*float64(shrinks)/rough, 1, "per 1000 h")
}

// proven: how soon.
func (s Scope) proven(t *testing.T, table *kit.Table) {
	fast, known, thrifty95, thrifty80 := &worst{}, &worst{}, &worst{}, &worst{}
	side(len(s.Any), func(i int) {
		p := path{limit: s.Any[i], behaviour: transporttest.Strict}
		fast.see(reach(t, p, &ours{mode: heartbeat.Fast}, []float64{0.95}, 5)[0], p.limit.String())
		slow := reach(t, p, &ours{mode: heartbeat.Thrifty}, []float64{0.8, 0.95}, 14)
		thrifty80.see(slow[0], p.limit.String())
		thrifty95.see(slow[1], p.limit.String())
	})
	side(len(documented()), func(i int) {
		p := path{limit: documented()[i], behaviour: transporttest.LooseRST}
		known.see(reach(t, p, &ours{mode: heartbeat.Fast}, []float64{0.9}, 3)[0], p.limit.String())
	})
	table.AtMost("fast: 0.95 of any limit proven after, worst ("+fast.where+")", fast.value, 2.4, "limits")
	table.AtMost("fast: 0.9 of a documented limit proven after, worst ("+known.where+")", known.value, 1.2, "limits")
	table.AtMost("thrifty: 0.95 of any limit proven after, worst ("+thrifty95.where+")", thrifty95.value, 8.5, "limits")
	table.AtMost("thrifty: 0.8 of any limit proven after, worst ("+thrifty80.where+")", thrifty80.value, 5.3, "limits")
}

// steady: what it costs once it is settled, beside the oracle.
func (s Scope) steady(t *testing.T, table *kit.Table) {
	for _, c := range []struct {
		name   string
		on     []transporttest.Behaviour
		canary transport.Canary
		goal   float64
	}{
		{"strict", s.strict(), transport.Canary{}, 1.08},
		{"loose, canary 25", s.loose(), transport.Canary{Every: 25}, 1.35},
		{"loose, pair", s.loose(), transport.Canary{Pair: true}, 1.75},
	} {
		ratio, beyond := &worst{}, &worst{}
		side(len(s.Limits)*len(c.on), func(i int) {
			p := path{limit: s.Limits[i/len(c.on)], behaviour: c.on[i%len(c.on)]}
			if p.limit < 45*time.Second {
				return
			}
			o := try(t, p, &ours{mode: heartbeat.Fast, canary: c.canary}, 72*time.Hour)
			best := try(t, p, &rival{pacer: fixed(p.reachable() - 2*time.Second)}, 48*time.Hour)
			into := ratio
			if p.limit > ceiling && !c.canary.Pair && c.canary.Every == 0 { // nothing ever fails: of unknown kind, and watched
				into = beyond
			}
			into.see(float64(o.lastDay)/float64(best.lastDay), p.String())
		})
		table.AtMost("steady bytes / oracle's, "+c.name+", worst ("+ratio.where+")", ratio.value, c.goal, "")
		if beyond.any {
			table.AtMost("steady bytes / oracle's, limit beyond the cap, so of unknown kind, worst ("+beyond.where+")",
				beyond.value, 1.35, "")
		}
	}
}

// shrink: the limit falls after all is settled, and nothing is said.
func (s Scope) shrink(t *testing.T, table *kit.Table) {
	for _, c := range []struct {
		name   string
		on     []transporttest.Behaviour
		canary transport.Canary
		bound  func(interval time.Duration) time.Duration
	}{
		{"strict", s.strict(), transport.Canary{},
			func(i time.Duration) time.Duration { return i + detectWithin + 5*time.Second }},
		{"loose, canary 25", s.loose(), transport.Canary{Every: 25}, func(i time.Duration) time.Duration { return 26 * i }},
		{"loose, pair", s.loose(), transport.Canary{Pair: true}, func(i time.Duration) time.Duration { return 2 * i }},
	} {
		dark := &worst{}
		factors := []float64{0.1, 0.3, 0.5, 0.8, 0.9}
		limits := seconds(120, 300, 900)
		side(len(factors)*len(limits)*len(c.on), func(i int) {
			behaviour, i := c.on[i%len(c.on)], i/len(c.on)
			factor := factors[i%len(factors)]
			p := path{limit: limits[i/len(factors)], behaviour: behaviour, seed: uint64(i)}
			took, interval := darkFor(t, p, c.canary, factor)
			dark.see(took.Seconds()/c.bound(interval).Seconds(), fmt.Sprintf("%v %v to %.1f of it", p.limit, behaviour, factor))
		})
		table.AtMost("limit shrinks: dark time / bound, "+c.name+", worst ("+dark.where+")", dark.value, 1, "")
	}
}

// darkFor is how long ours keeps an interval that the path no longer bears.
func darkFor(t *testing.T, p path, canary transport.Canary, factor float64) (took, interval time.Duration) {
	inWorld(t, p, func(_ *testing.T, w *world) {
		ctx, cancel := context.WithCancel(w.ctx)
		o := &ours{mode: heartbeat.Fast, canary: canary}
		var wg sync.WaitGroup
		wg.Go(func() { o.run(ctx, w) })
		synctest.Wait()
		w.pass(5*time.Hour+w.between(0, 600), time.Second, nil)
		interval = o.interval()
		limit := time.Duration(factor * float64(p.limit))
		w.nat.SetIdle(limit)
		start := time.Now()
		for o.interval() > max(limit, floor) && time.Since(start) < 60*interval {
			w.pass(100*time.Millisecond, 100*time.Millisecond, nil)
		}
		took = time.Since(start)
		cancel()
		wg.Wait()
	})
	return took, interval
}

// memory: right, it saves time; wrong, it costs none of the main link.
func (s Scope) memory(t *testing.T, table *kit.Table) {
	back, drops := &worst{}, 0
	var mu sync.Mutex
	side(len(s.Limits), func(i int) {
		p := path{limit: s.Limits[i], behaviour: transporttest.LooseRST, commands: true}
		right := &memory{k: heartbeat.Knowledge{Proven: p.reachable() * 99 / 100, Failing: p.reachable() * 1004 / 1000,
			At: time.Now()}}
		back.see(reach(t, p, &ours{mode: heartbeat.Thrifty, memory: right}, []float64{0.9 + 0.045}, 3)[0], p.limit.String())
		for _, factor := range []time.Duration{3, 5, 20, 40} { // tenths
			wrong := &memory{k: heartbeat.Knowledge{Proven: p.limit * factor / 10, Failing: p.limit * (factor + 1) / 10,
				At: time.Now()}}
			r := try(t, p, &ours{mode: heartbeat.Fast, memory: wrong}, 26*time.Hour)
			mu.Lock()
			drops += r.drops + r.late
			mu.Unlock()
		}
	})
	moved := 0
	for _, m := range modes() {
		moved += failedOver(t, path{limit: 300 * time.Second, behaviour: transporttest.LooseSilent, commands: true}, m)
	}
	table.Exactly("failover to an unknown server: drops there, and late commands", moved, 0, "", "")
	table.Info("probe_after at its default: 0.95 of 5m0s proven after", reach(t, path{limit: 300 * time.Second,
		behaviour: transporttest.Strict}, &ours{mode: heartbeat.Fast, after: -1}, []float64{0.95}, 6)[0], "limits")
	table.AtMost("memory right: proven again for 0.9 of the oracle after, worst ("+back.where+")", back.value, 1.1, "limits")
	table.Exactly("memory wrong by 0.3 to 4: drops and late commands", drops, 0, "", "")
}

// failedOver is what it costs when the server dies after all is settled, and another one is used that nothing is known of.
func failedOver(t *testing.T, p path, m heartbeat.Mode) (harm int) {
	inWorld(t, p, func(_ *testing.T, w *world) {
		ctx, cancel := context.WithCancel(w.ctx)
		o := &ours{mode: m, both: true}
		var wg sync.WaitGroup
		wg.Go(func() { o.run(ctx, w) })
		synctest.Wait()
		w.pass(4*time.Hour, glance, nil)
		w.broker.Freeze()
		w.commands = false // the operator's commands are published at the first one
		w.pass(24*time.Hour, glance, nil)
		harm = len(o.drops()) - 1 + w.late
		if o.link.Status().Server != "mqtt://b" {
			harm += 100
		}
		w.broker.Thaw()
		cancel()
		wg.Wait()
	})
	return harm
}

// rivals: what else is in use, on the same paths.
func (s Scope) rivals(t *testing.T, table *kit.Table) {
	for _, c := range []struct {
		name string
		make func() client
	}{
		{"fixed 30 s", func() client { return &rival{pacer: fixed(30 * time.Second)} }},
		{"fixed 60 s", func() client { return &rival{pacer: fixed(time.Minute)} }},
		{"Mars", func() client { return &rival{pacer: newMars()} }},
		{"courier", func() client {
			pacer := newCourier()
			return &rival{pacer: pacer, trial: courierTrial{pacer}}
		}},
	} {
		for _, b := range []transporttest.Behaviour{transporttest.LooseSilent, transporttest.Strict} {
			low, high := &worst{least: true}, &worst{}
			var mu sync.Mutex
			drops, late, commands := 0, 0, 0
			side(len(s.Limits), func(i int) {
				p := path{limit: s.Limits[i], behaviour: b, commands: true}
				r := try(t, p, c.make(), 48*time.Hour)
				low.see(r.final.Seconds()/p.reachable().Seconds(), p.limit.String())
				high.see(r.final.Seconds()/p.reachable().Seconds(), p.limit.String())
				mu.Lock()
				drops, late, commands = drops+r.drops, late+r.late, commands+r.commanded
				mu.Unlock()
			})
			name := fmt.Sprintf("%s, %v: ", c.name, b)
			table.Info(name+"final interval / limit, lowest ("+low.where+")", low.value, "")
			table.Info(name+"final interval / limit, highest ("+high.where+")", high.value, "")
			table.Info(name+"drops", float64(drops), fmt.Sprintf("in %d cells of 48 h", len(s.Limits)))
			table.Info(name+"commands late or lost", float64(late), fmt.Sprintf("of %d", commands))
		}
	}
}
