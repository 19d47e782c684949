package bridge

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// bench is a device on a fake socket: ports are plugged into it and pulled out.
type bench struct {
	t      *testing.T
	dev    *Device
	cancel context.CancelFunc
	ended  chan error

	mu     sync.Mutex
	port   *porttest.Port // nil: nothing plugged in
	fault  error          // what opening says instead
	opens  []time.Time
	frames []string
	times  []time.Time
	events []Event
	refuse error
}

// newBench starts a device in a bubble; the caller waits with synctest.Wait before it looks.
func newBench(t *testing.T, change func(*Options)) *bench {
	b := &bench{t: t, ended: make(chan error, 1)}
	o := Options{Name: "meter", Port: "/dev/fake", Framing: framing.Spec{Type: "line", Max: 16}, Open: b.open,
		OnFrame: b.onFrame, Notify: b.notify}
	if change != nil {
		change(&o)
	}
	dev, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.dev = dev
	return b
}

func (b *bench) start() {
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel = cancel
	go func() { b.ended <- b.dev.Run(ctx) }()
	synctest.Wait()
}

// stop ends Run and checks that it says why.
func (b *bench) stop() {
	b.t.Helper()
	b.cancel()
	if err := <-b.ended; err != context.Canceled {
		b.t.Errorf("Run returned %v", err)
	}
	b.balance()
}

func (b *bench) open(context.Context, string, serialport.Line) (serialport.Port, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opens = append(b.opens, time.Now())
	switch {
	case b.fault != nil:
		return nil, b.fault
	case b.port == nil:
		return nil, serialport.ErrAbsent
	}
	return b.port, nil
}

func (b *bench) onFrame(f Frame) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return b.refuse
	}
	b.frames = append(b.frames, string(f.Data))
	b.times = append(b.times, f.Time)
	return nil
}

func (b *bench) notify(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, e)
}

func (b *bench) plug() *porttest.Port {
	p := porttest.NewPort(serialport.ErrGone)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.port, b.fault = p, nil
	return p
}

func (b *bench) unplug() {
	b.mu.Lock()
	p := b.port
	b.port = nil
	b.mu.Unlock()
	p.HangUp()
	synctest.Wait()
}

func (b *bench) setFault(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = err
}

func (b *bench) attempts() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.opens)
}

// states are the events so far; they must all be changes.
func (b *bench) states() (out []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.events {
		if n := len(out); n > 0 && out[n-1] == e.State {
			b.t.Errorf("state %s told twice: %v", e.State, b.events)
		}
		out = append(out, e.State)
	}
	return out
}

func (b *bench) wantFrames(want ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.frames, want) {
		b.t.Errorf("frames %q, want %q", b.frames, want)
	}
}

func (b *bench) balance() Status {
	b.t.Helper()
	s := b.dev.Status()
	if s.Read != s.InFrames+s.Delimiters+s.Bad+s.Pending || s.Framed != s.Accepted+s.Refused {
		b.t.Errorf("unbalanced: %+v", s)
	}
	return s
}

// pass lets time go by in a bubble until everything has settled.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
