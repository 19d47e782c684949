// Package bench measures what the relay costs: pseudo-terminal to a subscriber of mosquitto, side by side in one run with
// a bare loop of paho publishes (build/bare) with the same window, which is the limit.
package bench

import (
	"fmt"
	"os"
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

// Options choose how many frames are sent.
type Options struct {
	Frames      int // for throughput
	PacedFrames int // for latency
}

// Run measures both and adds the rows.
func Run(e *kit.Env, o Options, t *kit.Table) error {
	t.Say("One mosquitto and one subscriber on this machine for both; the bare loop runs first. Latency is from the write at")
	t.Say("the pty (bare: before Publish) to the subscriber's handler, at %d frames a second.", paceRate)
	broker, err := e.Broker(kit.BrokerOptions{})
	if err != nil {
		return err
	}
	limit, err := runBare(e, broker, o)
	if err != nil {
		return err
	}
	ours, err := runAgent(e, broker, o)
	if err != nil {
		return err
	}
	t.Info("bare loop: throughput", limit.perSecond, "frames/s")
	t.Info("linkbeat: throughput", ours.perSecond, "frames/s")
	t.AtLeast("linkbeat / bare loop", ours.perSecond/limit.perSecond, shareAim, "")
	t.Info("bare loop: CPU", limit.cpu, "s per million frames")
	t.Info("linkbeat: CPU", ours.cpu, "s per million frames")
	t.Info("bare loop: latency p50", limit.p50, "ms")
	t.Info("bare loop: latency p99", limit.p99, "ms")
	t.Info("linkbeat: latency p50", ours.p50, "ms")
	t.Info("linkbeat: latency p99", ours.p99, "ms")
	t.AtMost("added latency p99", ours.p99-limit.p99, addedAim, "ms")
	t.AtMost("bytes to disk per payload byte, online, defaults", ours.disk, 0, "")
	if ours.durable, err = durable(e, broker, o.PacedFrames); err != nil {
		return err
	}
	t.Info("bytes to disk per payload byte, write_after 0s, sync always, 200 frames/s", ours.durable, "")
	return wire(e, t)
}

// figures of one side.
type figures struct{ perSecond, cpu, p50, p99, disk, durable float64 }

// runBare measures the limit.
func runBare(e *kit.Env, b *kit.Broker, o Options) (figures, error) {
	var f figures
	bin := filepath.Join(e.Dir, "bare")
	if err := kit.Build(e.Ctx, "build/bare", bin); err != nil {
		return f, err
	}
	sub, err := e.Collect(kit.CollectOptions{URL: b.URL(), ID: "bench-bare", Filters: []string{"bare/#"}})
	if err != nil {
		return f, err
	}
	cpu, err := bare(e, sub, b, bin, o.Frames, 0)
	if err != nil {
		return f, err
	}
	got := sub.Arrivals()
	first, err := sentAt(got[0])
	if err != nil {
		return f, err
	}
	f.perSecond = float64(len(got)) / got[len(got)-1].At.Sub(first).Seconds()
	f.cpu = cpu / float64(o.Frames) * million
	if _, err := bare(e, sub, b, bin, o.PacedFrames, paceRate); err != nil {
		return f, err
	}
	var late []time.Duration
	for _, a := range sub.Arrivals()[o.Frames:] {
		at, err := sentAt(a)
		if err != nil {
			return f, err
		}
		late = append(late, a.At.Sub(at))
	}
	f.p50, f.p99 = percentile(late, 50), percentile(late, 99)
	return f, nil
}

// bare runs the program until all its frames arrived and returns its CPU seconds.
func bare(e *kit.Env, sub *kit.Collector, b *kit.Broker, bin string, frames, rate int) (float64, error) {
	before := sub.Count()
	p, err := e.StartProc(fmt.Sprint("bare-", rate), "", nil, bin, b.URL(), strconv.Itoa(frames), strconv.Itoa(rate), strconv.Itoa(window))
	if err != nil {
		return 0, err
	}
	if err := e.Until("all frames of the bare loop", patience, func() bool { return sub.Count() >= before+frames }); err != nil {
		return 0, fmt.Errorf("%w: %s", err, p.Tail(5))
	}
	if code, err := p.Exit(10 * time.Second); err != nil || code != 0 {
		return 0, fmt.Errorf("bare loop: exit code %d, %w: %s", code, err, p.Tail(5))
	}
	out, err := os.ReadFile(p.LogPath)
	if err != nil {
		return 0, fmt.Errorf("bare loop: %w", err)
	}
	cpu, _, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	return strconv.ParseFloat(cpu, 64)
}

func sentAt(a kit.Arrival) (time.Time, error) {
	ns, err := strconv.ParseInt(strings.TrimSpace(string(a.Payload)), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("payload of the bare loop: %w", err)
	}
	return time.Unix(0, ns), nil
}

// percentile in ms.
func percentile(d []time.Duration, p int) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[min(len(d)-1, len(d)*p/100)].Microseconds()) / 1000
}
