package bridge

import (
	"bytes"
	"context"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// fakePort is a Port over channels, for bubbles of testing/synctest.
type fakePort struct {
	in     chan []byte
	gone   chan struct{} // closed: hung up
	closed chan struct{}

	// what Write and Drain do; nil: take all at once
	write func(p []byte, until time.Time) (int, error)
	drain func(until time.Time) error

	mu        sync.Mutex
	rest      []byte
	out       []byte
	discarded int
	once      sync.Once
	hangOnce  sync.Once
}

func newFakePort() *fakePort {
	return &fakePort{in: make(chan []byte, 1024), gone: make(chan struct{}), closed: make(chan struct{})}
}

func (p *fakePort) Read(b []byte, until time.Time) (int, error) {
	if len(p.rest) == 0 {
		data, err := p.arrive(until)
		if err != nil {
			return 0, err
		}
		p.rest = data
	}
	n := copy(b, p.rest)
	p.rest = p.rest[n:]
	return n, nil
}

func (p *fakePort) arrive(until time.Time) ([]byte, error) {
	select {
	case data := <-p.in: // what is waiting comes before any deadline
		return data, nil
	default:
	}
	late, stop := deadline(until)
	defer stop()
	select {
	case data := <-p.in:
		return data, nil
	case <-p.gone:
		return nil, ErrGone
	case <-p.closed:
		return nil, os.ErrClosed
	case <-late:
		return nil, os.ErrDeadlineExceeded
	}
}

func (p *fakePort) Write(b []byte, until time.Time) (int, error) {
	n, err := len(b), error(nil)
	if p.write != nil {
		n, err = p.write(b, until)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out = append(p.out, b[:n]...)
	return n, err
}

func (p *fakePort) Drain(until time.Time) error {
	if p.drain != nil {
		return p.drain(until)
	}
	return nil
}

func (p *fakePort) Discard() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.discarded++
	return nil
}

func (p *fakePort) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *fakePort) hangUp() { p.hangOnce.Do(func() { close(p.gone) }) }

func (p *fakePort) written() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(bytes.Clone(p.out))
}

// wait blocks a Write or a Drain like a device that takes nothing.
func (p *fakePort) wait(until time.Time) error {
	late, stop := deadline(until)
	defer stop()
	select {
	case <-p.gone:
		return ErrGone
	case <-p.closed:
		return os.ErrClosed
	case <-late:
		return os.ErrDeadlineExceeded
	}
}

func deadline(until time.Time) (<-chan time.Time, func() bool) {
	if until.IsZero() {
		return nil, func() bool { return true }
	}
	t := time.NewTimer(time.Until(until))
	return t.C, t.Stop
}

// bench is a device on a fake socket: ports are plugged into it and pulled out.
type bench struct {
	t      *testing.T
	dev    *Device
	cancel context.CancelFunc
	ended  chan error

	mu     sync.Mutex
	port   *fakePort // nil: nothing plugged in
	fault  error     // what opening says instead
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

func (b *bench) open(context.Context, string, Line) (Port, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opens = append(b.opens, time.Now())
	switch {
	case b.fault != nil:
		return nil, b.fault
	case b.port == nil:
		return nil, ErrAbsent
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

func (b *bench) plug() *fakePort {
	p := newFakePort()
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
	p.hangUp()
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
