package ports

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// edited are bytes that a tty which is not raw takes for something else: interrupt, end of file, stop, kill, word, erase, and
// start inside what is left then.
const edited = "\x03\x04\x13\x15\x17\x7f st\x11art"

// settle is how long what was echoed before the port was raw may be on its way.
const settle = 20 * time.Millisecond

// talker is a device that never stops talking, and who heard what.
type talker struct {
	tty    *kit.Pty
	dev    *bridge.Device
	opened chan struct{}
	lost   chan struct{}

	mu   sync.Mutex
	said []string
	got  map[string]bool
}

// cooked plugs in a tty as the kernel makes it while its device talks.
func cooked(e *kit.Env, n int, t *kit.Table) error {
	if n == 0 {
		return nil
	}
	d := &talker{opened: make(chan struct{}, 1), lost: make(chan struct{}, 1), got: map[string]bool{}}
	var err error
	if d.tty, err = e.Pty("cooked"); err != nil {
		return err
	}
	d.tty.Unplug()
	d.tty.Cooked = true
	d.dev, err = bridge.New(bridge.Options{Name: "cooked", Port: d.tty.Port, Framing: framing.Spec{Type: "line"},
		Notify: d.notify, OnFrame: func(f bridge.Frame) error {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.got[string(f.Data)] = true
			return nil
		}})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(e.Ctx)
	var running sync.WaitGroup
	running.Go(func() { _ = d.dev.Run(ctx) })
	defer running.Wait()
	defer cancel()
	written, missing, echoed := 0, 0, 0
	for i := range n {
		w, m, c, err := d.cycle(e, i)
		if err != nil {
			return fmt.Errorf("a tty as the kernel makes it, replug %d: %w", i, err)
		}
		written, missing, echoed = written+w, missing+m, echoed+c
	}
	const how = "a tty as the kernel makes it: "
	t.Exactly(how+"frames written while it was open that did not arrive", missing, 0, fmt.Sprint("of ", written), "")
	t.Exactly(how+"frames that nobody sent", d.strange(), 0, "", "")
	t.Exactly(how+"bytes echoed to the device while it was open", echoed, 0, "", "")
	return nil
}

func (d *talker) notify(e bridge.Event) {
	to := d.lost
	if e.State == bridge.Opened {
		to = d.opened
	}
	select {
	case to <- struct{}{}:
	default:
	}
}

// cycle is one replug: frames that were written while the port was open, how many of them are missing, and what was echoed then.
func (d *talker) cycle(e *kit.Env, i int) (written, missing, echoed int, err error) {
	for len(d.lost) > 0 {
		<-d.lost
	}
	if err := d.tty.Plug(); err != nil {
		return 0, 0, 0, err
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		d.talk(i, quit)
	}()
	stop := sync.OnceFunc(func() { close(quit); <-ended })
	defer stop()
	if err := e.Until("the port to be open", 10*time.Second, func() bool { return len(d.opened) > 0 }); err != nil {
		return 0, 0, 0, err
	}
	<-d.opened
	d.mu.Lock()
	from := len(d.said)
	d.mu.Unlock()
	e.Sleep(settle)
	before := len(d.tty.Received())
	e.Sleep(plugged)
	stop()
	echoed = len(d.tty.Received()) - before
	_ = e.Until("the last frame", time.Second, func() bool { return d.missing(from) == 0 })
	written, missing = len(d.said)-from, d.missing(from)
	d.tty.Unplug()
	return written, missing, echoed, e.Until("the port to be lost", 10*time.Second, func() bool { return len(d.lost) > 0 })
}

// talk writes frames until quit.
func (d *talker) talk(cycle int, quit <-chan struct{}) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-quit:
			return
		case <-tick.C:
			frame := fmt.Sprintf("cycle %d %s frame %d", cycle, edited, i)
			d.mu.Lock()
			d.said = append(d.said, frame)
			d.mu.Unlock()
			_, _ = d.tty.Write([]byte(frame + "\n"))
		}
	}
}

func (d *talker) missing(from int) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, frame := range d.said[from:] {
		if !d.got[frame] {
			n++
		}
	}
	return n
}

// strange counts what came and was not sent; the end of a frame that was on the line when the port was opened is no fault.
func (d *talker) strange() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sent := map[string]bool{}
	for _, frame := range d.said {
		sent[frame] = true
	}
	all := strings.Join(d.said, "\n") + "\n"
	for frame := range d.got {
		if !sent[frame] && !strings.Contains(all, frame+"\n") {
			n++
		}
	}
	return n
}
