// Package relay measures what the relay costs: pseudo-terminal to a subscriber of mosquitto, side by side in one run with
// a bare loop of paho publishes (build/tools/bare) with the same window, which is the limit.
package relay

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// What is measured, and its aims.
const (
	frameSize   = 100 // bytes
	window      = 32
	paceRate    = 200  // frames a second, for latency
	shareAim    = 0.7  // of the limit's throughput
	addedAim    = 5.0  // ms of p99 latency
	throughAim  = 0.95 // of the throughput of the commit before, in the median of pairs: within the noise of a shared machine
	cpuAim      = 1.05 // times its CPU for a frame
	million     = 1e6
	device      = "meter"
	patience    = 120 * time.Second
	aheadOnWire = 4000 // frames written ahead of what arrived: the pty and the window stay full, no spool is tested
)

// Options choose how much is sent.
type Options struct {
	Rounds int // each measures the limit and linkbeat, one right after the other
	Frames int // of a round, as fast as it goes, for throughput
	Paced  int // of a round, at the steady rate, for latency

	Before []string // the program of the commit before, measured in the same rounds; nil: it is not
}

// side is what one of the two reached over all rounds.
type side struct {
	perSecond []float64 // by round
	cpu       float64   // s
	p50, p99  []float64 // ms, by round
}

// Run measures both and adds the rows.
func Run(e *kit.Env, o Options, t *kit.Table) error {
	t.Say("One mosquitto and one subscriber each, on this machine. Every round runs the bare loop and linkbeat one after the")
	t.Say("other; figures are the median of %d rounds. Latency is from the write at the pty (bare: before Publish) to the",
		o.Rounds)
	t.Say("subscriber's handler, at %d frames a second.", paceRate)
	broker, err := e.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	sides, disk, err := compare(e, broker, o)
	if err != nil {
		return err
	}
	limit, ours := sides.limit, sides.ours
	frames := float64(o.Rounds*o.Frames) / million
	t.Info("bare loop: throughput", median(limit.perSecond), "frames/s")
	t.Info("linkbeat: throughput", median(ours.perSecond), "frames/s")
	t.AtLeast("linkbeat / bare loop", median(ratios(ours.perSecond, limit.perSecond)), shareAim, "")
	t.Info("bare loop: CPU", limit.cpu/frames, "s per million frames")
	t.Info("linkbeat: CPU", ours.cpu/frames, "s per million frames")
	t.Info("bare loop: latency p50", median(limit.p50), "ms")
	t.Info("bare loop: latency p99", median(limit.p99), "ms")
	t.Info("linkbeat: latency p50", median(ours.p50), "ms")
	t.Info("linkbeat: latency p99", median(ours.p99), "ms")
	t.AtMost("added latency p99", median(ours.p99)-median(limit.p99), addedAim, "ms")
	t.AtMost("bytes to disk per payload byte, online, defaults", disk, 0, "")
	if was := sides.before; was != nil {
		t.Info("commit before: throughput", median(was.perSecond), "frames/s")
		t.Info("commit before: CPU", was.cpu/frames, "s per million frames")
		t.Info("commit before: latency p99", median(was.p99), "ms")
		t.AtLeast("linkbeat / commit before: throughput", median(ratios(ours.perSecond, was.perSecond)), throughAim, "")
		t.AtMost("linkbeat / commit before: CPU", ours.cpu/was.cpu, cpuAim, "")
	}
	durable, err := durable(e, broker, o.Paced)
	if err != nil {
		return err
	}
	t.Info("bytes to disk per payload byte, write_after 0s, sync always, 200 frames/s", durable, "")
	return wire(e, t)
}

// ratios of two sides, round by round.
func ratios(a, b []float64) []float64 {
	r := make([]float64, len(a))
	for i := range r {
		r[i] = a[i] / b[i]
	}
	return r
}

// sides are all that are measured; before is nil without a commit to compare with.
type sides struct{ limit, ours, before *side }

// compare runs the rounds; disk is what linkbeat wrote to it per byte of payload.
func compare(e *kit.Env, b *kit.Broker, o Options) (all sides, disk float64, err error) {
	all = sides{limit: &side{}, ours: &side{}}
	bare, err := newBare(e, b)
	if err != nil {
		return all, 0, err
	}
	s, err := newStation(e, b, "gw-bench", nil, nil)
	if err != nil {
		return all, 0, err
	}
	stations := []*station{s}
	if o.Before != nil {
		all.before = &side{}
		was, err := newStation(e, b, "gw-before", o.Before, nil)
		if err != nil {
			return all, 0, fmt.Errorf("the commit before: %w", err)
		}
		stations = append(stations, was)
	}
	for _, s := range stations {
		if _, err := s.paced(20); err != nil {
			return all, 0, err
		}
	}
	e.Sleep(2 * time.Second) // with its first record the spool writes down its epoch and streams, once
	before, err := s.written()
	if err != nil {
		return all, 0, err
	}
	for i := range o.Rounds {
		if err := errors.Join(bare.round(o, all.limit), turns(o, i, stations, []*side{all.ours, all.before})); err != nil {
			return all, 0, err
		}
	}
	after, err := s.written()
	if err != nil {
		return all, 0, err
	}
	for _, s := range stations {
		err = errors.Join(err, s.agent.Term())
	}
	return all, float64(after-before) / float64(o.Rounds*(o.Frames+o.Paced)*frameSize), err
}

// turns is one round of each station, in turned order every second time, so that none is always the first.
func turns(o Options, round int, stations []*station, into []*side) (err error) {
	for i := range stations {
		if round%2 == 1 {
			i = len(stations) - 1 - i
		}
		err = errors.Join(err, stations[i].round(o, into[i]))
	}
	return err
}

// bareLoop runs build/tools/bare as a child, so that its CPU time is its own.
type bareLoop struct {
	e   *kit.Env
	b   *kit.Broker
	bin string
	sub *kit.Collector
}

func newBare(e *kit.Env, b *kit.Broker) (*bareLoop, error) {
	l := &bareLoop{e: e, b: b, bin: filepath.Join(e.Dir, "bare")}
	if err := kit.Build(e.Ctx, "build/tools/bare", l.bin); err != nil {
		return nil, err
	}
	var err error
	l.sub, err = e.Collect(kit.CollectOptions{URL: b.URL(), ID: "bench-bare", Filters: []string{"bare/#"}})
	return l, err
}

func (l *bareLoop) round(o Options, s *side) error {
	cpu, got, err := l.run(o.Frames, 0)
	if err != nil {
		return err
	}
	first, err := sentAt(got[0])
	if err != nil {
		return err
	}
	s.perSecond = append(s.perSecond, float64(len(got))/got[len(got)-1].At.Sub(first).Seconds())
	s.cpu += cpu
	if _, got, err = l.run(o.Paced, paceRate); err != nil {
		return err
	}
	late := make([]time.Duration, len(got))
	for i, a := range got {
		at, err := sentAt(a)
		if err != nil {
			return err
		}
		late[i] = a.At.Sub(at)
	}
	s.latency(late)
	return nil
}

// latency enters those of one round.
func (s *side) latency(late []time.Duration) {
	s.p50 = append(s.p50, percentile(late, 50))
	s.p99 = append(s.p99, percentile(late, 99))
}

// run publishes until all frames arrived; it returns the CPU seconds and the arrivals.
func (l *bareLoop) run(frames, rate int) (float64, []kit.Arrival, error) {
	before := l.sub.Count()
	p, err := l.e.StartProc(fmt.Sprint("bare-", before), "", nil, l.bin, l.b.URL(), strconv.Itoa(frames), strconv.Itoa(rate),
		strconv.Itoa(window))
	if err != nil {
		return 0, nil, err
	}
	if err := l.e.Until("all frames of the bare loop", patience,
		func() bool { return l.sub.Count() >= before+frames }); err != nil {
		return 0, nil, fmt.Errorf("%w: %s", err, p.Tail(5))
	}
	if code, err := p.Exit(10 * time.Second); err != nil || code != 0 {
		return 0, nil, errors.Join(fmt.Errorf("bare loop: exit code %d: %s", code, p.Tail(5)), err)
	}
	word, _, _ := strings.Cut(p.Tail(1), " ")
	cpu, err := strconv.ParseFloat(word, 64)
	return cpu, l.sub.Arrivals()[before : before+frames], err
}

func sentAt(a kit.Arrival) (time.Time, error) {
	ns, err := strconv.ParseInt(strings.TrimSpace(string(a.Payload)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("payload of the bare loop: %w", err)
	}
	return time.Unix(0, ns), nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// percentile in ms.
func percentile(d []time.Duration, p int) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[min(len(d)-1, len(d)*p/100)].Microseconds()) / 1000
}
