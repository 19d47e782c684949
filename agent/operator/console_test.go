package operator_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/agent/operator"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// station is a gateway that serves the console of "plc".
type station struct {
	f      *fleet
	mute   bool                                     // it answers nothing
	refuse func(m wire.ConsoleDown) *wire.ConsoleUp // instead of the usual answer; nil: the usual one

	mu    sync.Mutex
	id    string
	seq   uint64
	seen  []wire.ConsoleDown
	taken int64
	slow  bool // it does not deal with what comes
}

func withStation(t *testing.T, g *station, f func(t *testing.T, f *fleet)) {
	bubble(t, transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		if d, err := wire.ParseConsoleDown(m.Payload); err == nil && m.Topic == "lb/gw/dn/cmd/plc/console" {
			g.heard(d)
		}
		return transporttest.Take
	}}, func(t *testing.T, fl *fleet) {
		g.f = fl
		f(t, fl)
		synctest.Wait()
	})
}

func (g *station) heard(d wire.ConsoleDown) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.seen = append(g.seen, d); g.mute {
		return
	}
	if !g.slow {
		g.taken += int64(len(d.Data))
	}
	answer := &wire.ConsoleUp{Op: wire.ConsoleKept}
	switch d.Op {
	case wire.ConsoleOpen, wire.ConsoleTap:
		g.id = d.ID
		answer = &wire.ConsoleUp{Op: wire.ConsoleOpened, Max: 512, ConsoleLine: wire.ConsoleLine{Baud: 9600, Mode: "8N1"}}
	case wire.ConsoleSet:
		answer.Op = wire.ConsoleSet
	}
	if g.refuse != nil {
		if no := g.refuse(d); no != nil {
			answer = no
		}
	}
	go g.say(*answer)
}

func (g *station) say(m wire.ConsoleUp) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.seq++
	m.ID, m.Seq, m.Taken = g.id, g.seq, g.taken
	g.f.say("lb/gw/up/reply/plc/console", string(m.Append(nil)), false)
}

// ops are what was said, in order, without renewals; data as it is.
func (g *station) ops() (all []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, d := range g.seen {
		switch d.Op {
		case wire.ConsoleKeep:
		case wire.ConsoleData:
			all = append(all, string(d.Data))
		default:
			all = append(all, string(d.Op))
		}
	}
	return all
}

// start runs a console until it ends.
func start(ctx context.Context, f *fleet, c operator.ConsoleOptions) <-chan error {
	c.Device, c.Name = "gw", "plc"
	if c.Out == nil {
		c.Out = io.Discard
	}
	done := make(chan error, 1)
	go func() { done <- operator.Console(ctx, f.o, c) }()
	time.Sleep(time.Second)
	return done
}

func TestLeavingADeviceThatTalksAllTheTime(t *testing.T) {
	for name, c := range map[string]struct {
		in     io.Reader
		escape bool
		within time.Duration
	}{
		"by ~.":         {strings.NewReader("exit\r~."), true, 2 * time.Second},
		"at the end":    {strings.NewReader("exit\r"), false, 12 * time.Second},
		"~ is for them": {strings.NewReader("exit\r~."), false, 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			g := &station{}
			withStation(t, g, func(t *testing.T, f *fleet) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() {
					for ctx.Err() == nil {
						time.Sleep(300 * time.Millisecond)
						g.say(wire.ConsoleUp{Op: wire.ConsoleData, Data: []byte("$GPGGA\r\n")})
					}
				}()
				began := time.Now()
				err := <-start(ctx, f, operator.ConsoleOptions{In: c.in, Escape: c.escape})
				if took := time.Since(began); err != nil || took > c.within {
					t.Errorf("left after %v: %v", took, err)
				}
				cancel()
				time.Sleep(time.Second)
				if ops := g.ops(); len(ops) != 3 || !strings.HasPrefix(ops[1], "exit\r") || ops[2] != "close" {
					t.Errorf("%q", ops)
				}
			})
		})
	}
}

// Neither a broker that is gone nor a device that takes nothing holds who wants to leave.
func TestLeavingWhenNothingMoves(t *testing.T) {
	for name, spoil := range map[string]func(g *station, f *fleet){
		"the broker is gone":          func(_ *station, f *fleet) { f.broker.Close() },
		"the device takes no more":    func(g *station, _ *fleet) { g.mu.Lock(); g.slow = true; g.mu.Unlock() },
		"and nobody answers any more": func(g *station, _ *fleet) { g.mu.Lock(); g.mute = true; g.mu.Unlock() },
	} {
		t.Run(name, func(t *testing.T) {
			g := &station{}
			withStation(t, g, func(t *testing.T, f *fleet) {
				in, keys := io.Pipe()
				done := start(t.Context(), f, operator.ConsoleOptions{In: in, Escape: true})
				spoil(g, f)
				began := time.Now()
				go func() {
					_, _ = keys.Write(make([]byte, 40<<10)) // pasted
					_, _ = keys.Write([]byte("\r"))
					_, _ = keys.Write([]byte("~."))
				}()
				if err := <-done; err != nil || time.Since(began) > 10*time.Second {
					t.Errorf("left after %v: %v", time.Since(began), err)
				}
				_ = keys.Close()
			})
		})
	}
}

// From a pipe, no one may read the notices: what the port did not get is an error at the end.
func TestAPipeWhoseBytesThePortDidNotGet(t *testing.T) {
	g := &station{refuse: func(d wire.ConsoleDown) *wire.ConsoleUp {
		if d.Op != wire.ConsoleData {
			return nil
		}
		return &wire.ConsoleUp{Op: wire.ConsoleFault, Error: wire.Failed, Detail: "port is not open"}
	}}
	withStation(t, g, func(t *testing.T, f *fleet) {
		var no operator.DeviceError
		err := <-start(t.Context(), f, operator.ConsoleOptions{In: strings.NewReader("firmware")})
		if !errors.As(err, &no) || no.Reply.Error != wire.Failed {
			t.Errorf("%v", err)
		}
	})
}

// After the end of its input a console asks how much is written, and more and more seldom: a gateway answers a few a minute.
func TestAfterTheEndOfInputItAsksSeldom(t *testing.T) {
	for name, most := range map[string]int{"a port that takes all": 1, "a port that takes nothing": 10} {
		g := &station{slow: most > 1}
		withStation(t, g, func(t *testing.T, f *fleet) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			err := <-start(ctx, f, operator.ConsoleOptions{In: strings.NewReader("firmware")})
			g.mu.Lock()
			defer g.mu.Unlock()
			asked := 0
			for _, d := range g.seen {
				if d.Op == wire.ConsoleKeep {
					asked++
				}
			}
			if err != nil || asked > most {
				t.Errorf("%s: asked %d times, %v", name, asked, err)
			}
		})
	}
}

func TestTheWindow(t *testing.T) {
	for name, c := range map[string]struct{ size, most int }{
		"small messages": {1, wire.ConsoleMessages},
		"large ones":     {512, wire.ConsoleMessages},
	} {
		t.Run(name, func(t *testing.T) {
			g := &station{slow: true}
			withStation(t, g, func(t *testing.T, f *fleet) {
				ctx, cancel := context.WithCancel(t.Context())
				in, keys := io.Pipe()
				done := start(ctx, f, operator.ConsoleOptions{In: in})
				go func() {
					for range 200 {
						if _, err := keys.Write(bytes.Repeat([]byte("k"), c.size)); err != nil {
							return
						}
					}
				}()
				time.Sleep(time.Second)
				if n := len(g.ops()) - 1; n != c.most {
					t.Errorf("%d messages out", n)
				}
				g.mu.Lock()
				g.slow, g.taken = false, int64(c.most*c.size)
				g.mu.Unlock()
				g.say(wire.ConsoleUp{Op: wire.ConsoleKept})
				time.Sleep(time.Second)
				if n, all := len(g.ops())-1, strings.Join(g.ops()[1:], ""); n > 200 || len(all) != 200*c.size {
					t.Errorf("%d messages afterwards, %d bytes", n, len(all))
				}
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				_ = keys.Close()
			})
		})
	}
}

// What is set about the line goes before the bytes that were written after it.
func TestChangesOfTheLineKeepTheirPlace(t *testing.T) {
	g := &station{}
	withStation(t, g, func(t *testing.T, f *fleet) {
		in, keys := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var change *wire.ConsoleLine
		set := func(baud int) { mu.Lock(); change = &wire.ConsoleLine{Baud: baud}; mu.Unlock() }
		done := start(ctx, f, operator.ConsoleOptions{In: in, Changed: func() (l wire.ConsoleLine, ok bool) {
			mu.Lock()
			defer mu.Unlock()
			if change != nil {
				l, ok, change = *change, true, nil
			}
			return l, ok
		}})
		set(115200)
		_, _ = keys.Write([]byte("sync"))
		time.Sleep(time.Second)
		set(9600)
		time.Sleep(time.Second)
		if ops := g.ops(); !slices.Equal(ops, []string{"open", "set", "sync", "set"}) {
			t.Errorf("%q", ops)
		}
		cancel()
		<-done
		_ = keys.Close()
	})
}

// A console that began with a line of its own goes on when a later one cannot be set.
func TestALaterLineThatCannotBeSet(t *testing.T) {
	g := &station{refuse: func(d wire.ConsoleDown) *wire.ConsoleUp {
		if d.Op != wire.ConsoleSet {
			return nil
		}
		return &wire.ConsoleUp{Op: wire.ConsoleSet, Error: wire.Failed, Detail: "no such rate"}
	}}
	withStation(t, g, func(t *testing.T, f *fleet) {
		in, keys := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		var later atomic.Bool
		done := start(ctx, f, operator.ConsoleOptions{In: in, Line: wire.ConsoleLine{Baud: 300},
			Changed: func() (wire.ConsoleLine, bool) { return wire.ConsoleLine{Baud: 7}, later.Swap(false) }})
		g.say(wire.ConsoleUp{Op: wire.ConsoleSet, ConsoleLine: wire.ConsoleLine{Baud: 300}})
		later.Store(true)
		time.Sleep(time.Second)
		if ops := g.ops(); !slices.Equal(ops, []string{"open", "set"}) {
			t.Errorf("%q", ops)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		_ = keys.Close()
	})
}

func TestALineThatCannotBeSetAtTheBeginningEndsTheConsole(t *testing.T) {
	g := &station{refuse: func(d wire.ConsoleDown) *wire.ConsoleUp {
		if d.Op == wire.ConsoleOpen {
			return nil
		}
		return &wire.ConsoleUp{Op: wire.ConsoleSet, Error: wire.Failed, Detail: "the line of this port cannot be set"}
	}}
	withStation(t, g, func(t *testing.T, f *fleet) {
		in, keys := io.Pipe()
		done := start(t.Context(), f, operator.ConsoleOptions{In: in, Line: wire.ConsoleLine{Baud: 300}})
		go g.say(wire.ConsoleUp{Op: wire.ConsoleSet, Error: wire.Failed, Detail: "the line of this port cannot be set"})
		var no operator.DeviceError
		if err := <-done; !errors.As(err, &no) || !strings.Contains(err.Error(), "cannot be set") {
			t.Errorf("%v", err)
		}
		_ = keys.Close()
	})
}

// Who gives up while it opens may have it open at the gateway: it is closed there.
func TestGivingUpWhileItOpens(t *testing.T) {
	g := &station{mute: true}
	withStation(t, g, func(t *testing.T, f *fleet) {
		ctx, cancel := context.WithCancel(t.Context())
		in, keys := io.Pipe()
		done := start(ctx, f, operator.ConsoleOptions{In: in})
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		synctest.Wait()
		if ops := g.ops(); !slices.Equal(ops, []string{"open", "close"}) {
			t.Errorf("%q", ops)
		}
		_ = keys.Close()
	})
}

// stuck takes nothing until it is let go.
type stuck struct {
	first   chan struct{}
	once    sync.Once
	release chan struct{}
}

func (s *stuck) Write(p []byte) (int, error) {
	s.once.Do(func() { close(s.first) })
	<-s.release
	return len(p), nil
}

// An output that takes nothing hides neither the end nor a wish to leave.
func TestAnOutputThatTakesNothing(t *testing.T) {
	g := &station{}
	withStation(t, g, func(t *testing.T, f *fleet) {
		out := &stuck{first: make(chan struct{}), release: make(chan struct{})}
		in, keys := io.Pipe()
		done := start(t.Context(), f, operator.ConsoleOptions{In: in, Out: out})
		g.say(wire.ConsoleUp{Op: wire.ConsoleData, Data: []byte("one")})
		<-out.first
		for range 600 {
			g.say(wire.ConsoleUp{Op: wire.ConsoleData, Data: make([]byte, 2048)})
		}
		time.Sleep(time.Second)
		g.say(wire.ConsoleUp{Op: wire.ConsoleClosed, Error: wire.Timeout, Detail: "nobody renewed the session"})
		if err := <-done; !errors.Is(err, operator.ErrConsoleEnded) {
			t.Errorf("%v", err)
		}
		close(out.release)
		synctest.Wait()
		if notes := strings.Join(f.notices, "\n"); !strings.Contains(notes, "bytes dropped here: the output is slower") {
			t.Errorf("notices %s", notes)
		}
		_ = keys.Close()
	})
}
