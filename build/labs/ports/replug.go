package ports

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/discover"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

const (
	pace    = 2 * time.Millisecond // between two frames
	plugged = 60 * time.Millisecond
	back    = time.Second // the goal
	torn    = "torn"      // half a frame, written when it is pulled out
)

// bench is one device of the bridge and the two adapters that swap their names.
type bench struct {
	e     *kit.Env
	tree  *tree
	meter *kit.Pty
	decoy *kit.Pty // another adapter of the same kind
	heard bool     // by uevents
	dev   *bridge.Device

	written int64 // bytes, by the meter; of the goroutine that says something

	mu     sync.Mutex
	got    []string
	opened chan string // the path
	lost   chan struct{}
}

func replugs(e *kit.Env, n int, heard bool, t *kit.Table) error {
	how := map[bool]string{true: "uevents", false: "looking twice a second"}[heard]
	b, stop, err := newBench(e, heard)
	if err != nil {
		return err
	}
	defer stop()
	var want []string
	var waits []time.Duration
	for i := range n {
		frames, wait, err := b.cycle(i)
		if err != nil {
			return fmt.Errorf("%s, replug %d: %w", how, i, err)
		}
		want, waits = append(want, frames...), append(waits, wait)
	}
	missing, strange := b.compare(want)
	s := b.dev.Status()
	slices.Sort(waits)
	t.Exactly(how+": times it was opened again", int(s.Opens), n, "", "")
	t.Exactly(how+": frames written while plugged in that did not arrive", missing, 0, fmt.Sprint("of ", len(want)), "")
	t.Exactly(how+": frames of anybody else, doubled or out of order", strange, 0, "", "")
	t.Exactly(how+": bytes that were neither frames nor torn by the unplug", int(s.Bad)-n*len(torn), 0, "", "")
	t.Info(how+": from plugged in to open, median", ms(waits[len(waits)/2]), "ms")
	t.Within(how+": from plugged in to open, worst", ms(waits[len(waits)-1]), ms(back), "ms")
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func newBench(e *kit.Env, heard bool) (b *bench, stop func(), err error) {
	dir, err := e.Sub(fmt.Sprint("ports-", heard))
	if err != nil {
		return nil, nil, err
	}
	b = &bench{e: e, heard: heard, opened: make(chan string, 16), lost: make(chan struct{}, 16)}
	if b.tree, err = newTree(dir); err != nil {
		return nil, nil, err
	}
	for _, p := range []struct {
		pty  **kit.Pty
		name string
	}{{&b.meter, "meter"}, {&b.decoy, "decoy"}} {
		if *p.pty, err = e.Pty(fmt.Sprint(p.name, heard)); err != nil {
			return nil, nil, err
		}
	}
	b.meter.Unplug()
	finder := discover.NewFinder(discover.FinderOptions{Sysfs: os.DirFS(b.tree.sys), Dev: b.tree.dev})
	b.dev, err = bridge.New(bridge.Options{Name: "meter",
		Select: discover.Selector{Vendor: "0403", Product: "6001", Serial: "METER"},
		Finder: finder, Baud: 115200, Framing: framing.Spec{Type: "line"}, OnFrame: b.onFrame, Notify: b.notify})
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(e.Ctx)
	var running sync.WaitGroup
	if heard {
		running.Go(func() { _ = finder.Run(ctx) })
	}
	running.Go(func() { _ = b.dev.Run(ctx) })
	return b, func() { cancel(); running.Wait() }, nil
}

func (b *bench) onFrame(f bridge.Frame) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got = append(b.got, string(f.Data))
	return nil
}

func (b *bench) notify(e bridge.Event) {
	switch e.State {
	case bridge.Opened:
		b.opened <- b.dev.Status().Port
	default:
		select {
		case b.lost <- struct{}{}:
		default:
		}
	}
}

// cycle plugs the meter in under a name that the decoy had before, talks, and pulls it out again.
func (b *bench) cycle(i int) (frames []string, wait time.Duration, err error) {
	mine, other := fmt.Sprint("ttyUSB", i%3), fmt.Sprint("ttyUSB", (i+1)%3)
	if err := b.meter.Plug(); err != nil {
		return nil, 0, err
	}
	if err := b.show(b.decoy, other, "DECOY"); err != nil {
		return nil, 0, err
	}
	began := time.Now()
	if err := b.show(b.meter, mine, "METER"); err != nil {
		return nil, 0, err
	}
	if b.heard {
		if err := tell(); err != nil {
			return nil, 0, err
		}
	}
	if _, err := b.decoy.Write([]byte("decoy\n")); err != nil {
		return nil, 0, err
	}
	quit, said := make(chan struct{}), make(chan []string, 1)
	go func() { said <- b.talk(i, quit) }()
	select {
	case <-b.opened:
	case <-time.After(10 * time.Second):
		close(quit)
		return nil, 0, fmt.Errorf("not open after 10 s: %s", b.dev.Status().Why)
	}
	wait = time.Since(began)
	b.e.Sleep(plugged + rand.N(plugged))
	close(quit)
	frames = <-said
	if err := b.say(torn); err != nil {
		return nil, 0, err
	}
	if err := b.e.Until("the last byte", 10*time.Second, func() bool { return b.dev.Status().Read == b.written }); err != nil {
		return nil, 0, err
	}
	return frames, wait, b.pull(mine, other)
}

// pull takes both out: the meter by a hang-up, as the kernel does it, the decoy only by name.
func (b *bench) pull(mine, other string) error {
	for len(b.lost) > 0 {
		<-b.lost
	}
	b.meter.Unplug()
	for name, serial := range map[string]string{mine: "METER", other: "DECOY"} {
		if err := b.tree.unplug(name, serial); err != nil {
			return err
		}
	}
	if b.heard {
		if err := tell(); err != nil {
			return err
		}
	}
	select {
	case <-b.lost:
		return nil
	case <-time.After(10 * time.Second):
		return fmt.Errorf("not lost after 10 s: %+v", b.dev.Status())
	}
}

func (b *bench) show(p *kit.Pty, name, serial string) error {
	target, err := os.Readlink(p.Port)
	if err != nil {
		return err
	}
	return b.tree.plug(name, serial, target)
}

// talk writes frames until quit, and returns them.
func (b *bench) talk(cycle int, quit <-chan struct{}) (frames []string) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-quit:
			return frames
		case <-tick.C:
			frame := fmt.Sprintf("cycle %d frame %d", cycle, i)
			if b.say(frame+"\r\n") == nil {
				frames = append(frames, frame)
			}
		}
	}
}

// say writes as the meter; one goroutine at a time.
func (b *bench) say(s string) error {
	n, err := b.meter.Write([]byte(s))
	b.written += int64(n)
	return err
}

// compare counts what is missing, and what is there and should not be.
func (b *bench) compare(want []string) (missing, strange int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	got := b.got
	for _, w := range want {
		i := slices.Index(got, w)
		if i < 0 {
			missing++
			continue
		}
		strange += i
		got = got[i+1:]
	}
	return missing, strange + len(got)
}
