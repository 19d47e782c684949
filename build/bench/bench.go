// Package bench measures what the relay costs: pseudo-terminal to a subscriber of mosquitto, side by side in one run with
// a bare loop of paho publishes (build/bare) with the same window, which is the limit.
package bench

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

// What is measured, and the aims of "It must show" 6.
const (
	frameSize   = 100 // bytes
	window      = 32
	paceRate    = 200 // frames a second, for latency
	shareAim    = 0.7 // of the limit's throughput
	addedAim    = 5.0 // ms of p99 latency
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
	t.Say("other; figures are the median of %d rounds. Latency is from the write at the pty (bare: before Publish) to the", o.Rounds)
	t.Say("subscriber's handler, at %d frames a second.", paceRate)
	broker, err := e.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	limit, ours, disk, err := compare(e, broker, o)
	if err != nil {
		return err
	}
	ratios := make([]float64, o.Rounds)
	for i := range ratios {
		ratios[i] = ours.perSecond[i] / limit.perSecond[i]
	}
	frames := float64(o.Rounds*o.Frames) / million
	t.Info("bare loop: throughput", median(limit.perSecond), "frames/s")
	t.Info("linkbeat: throughput", median(ours.perSecond), "frames/s")
	t.AtLeast("linkbeat / bare loop", median(ratios), shareAim, "")
	t.Info("bare loop: CPU", limit.cpu/frames, "s per million frames")
	t.Info("linkbeat: CPU", ours.cpu/frames, "s per million frames")
	t.Info("bare loop: latency p50", median(limit.p50), "ms")
	t.Info("bare loop: latency p99", median(limit.p99), "ms")
	t.Info("linkbeat: latency p50", median(ours.p50), "ms")
	t.Info("linkbeat: latency p99", median(ours.p99), "ms")
	t.AtMost("added latency p99", median(ours.p99)-median(limit.p99), addedAim, "ms")
	t.AtMost("bytes to disk per payload byte, online, defaults", disk, 0, "")
	durable, err := durable(e, broker, o.Paced)
	if err != nil {
		return err
	}
	t.Info("bytes to disk per payload byte, write_after 0s, sync always, 200 frames/s", durable, "")
	return wire(e, t)
}

// compare runs the rounds; disk is what linkbeat wrote to it per byte of payload.
func compare(e *kit.Env, b *kit.Broker, o Options) (limit, ours *side, disk float64, err error) {
	limit, ours = &side{}, &side{}
	bare, err := newBare(e, b)
	if err != nil {
		return nil, nil, 0, err
	}
	s, err := newStation(e, b, "gw-bench", nil)
	if err != nil {
		return nil, nil, 0, err
	}
	if _, err := s.paced(20); err != nil {
		return nil, nil, 0, err
	}
	e.Sleep(2 * time.Second) // with its first record the spool writes down its epoch and streams, once
	before, err := s.written()
	if err != nil {
		return nil, nil, 0, err
	}
	for range o.Rounds {
		if err := errors.Join(bare.round(o, limit), s.round(o, ours)); err != nil {
			return nil, nil, 0, err
		}
	}
	after, err := s.written()
	if err != nil {
		return nil, nil, 0, err
	}
	disk = float64(after-before) / float64(o.Rounds*(o.Frames+o.Paced)*frameSize)
	return limit, ours, disk, s.agent.Term()
}

// bareLoop runs build/bare as a child, so that its CPU time is its own.
type bareLoop struct {
	e   *kit.Env
	b   *kit.Broker
	bin string
	sub *kit.Collector
}

func newBare(e *kit.Env, b *kit.Broker) (*bareLoop, error) {
	l := &bareLoop{e: e, b: b, bin: filepath.Join(e.Dir, "bare")}
	if err := kit.Build(e.Ctx, "build/bare", l.bin); err != nil {
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
	p, err := l.e.StartProc(fmt.Sprint("bare-", before), "", nil, l.bin, l.b.URL(), strconv.Itoa(frames), strconv.Itoa(rate), strconv.Itoa(window))
	if err != nil {
		return 0, nil, err
	}
	if err := l.e.Until("all frames of the bare loop", patience, func() bool { return l.sub.Count() >= before+frames }); err != nil {
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
