package bridge

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// settable is a fake port whose line can be changed.
type settable struct {
	*porttest.Port
	mu    sync.Mutex
	set   []serialport.LineChange
	onSet func(serialport.LineChange) // may be nil
}

func (p *settable) SetLine(c serialport.LineChange) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set = append(p.set, c)
	if p.onSet != nil {
		p.onSet(c)
	}
	return nil
}

// traffic is what a tap saw, "<read>written".
type traffic struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *traffic) see(x Traffic) {
	t.mu.Lock()
	defer t.mu.Unlock()
	arrow := "<"
	if x.Out {
		arrow = ">"
	}
	t.b.WriteString(arrow + string(x.Data))
}

func (t *traffic) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

func TestAHoldHasTheDeviceForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		p := b.plug()
		b.start()
		var seen traffic
		stop := b.dev.Tap(seen.see)
		h, err := b.dev.Hold()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.dev.Hold(); !errors.Is(err, ErrHeld) {
			t.Errorf("a second hold: %v", err)
		}
		if err := b.dev.Write([]byte("x"), time.Time{}, nil); !errors.Is(err, ErrHeld) {
			t.Errorf("a command: %v", err)
		}
		if err := h.Write(t.Context(), []byte("AT\r")); err != nil {
			t.Fatal(err)
		}
		p.In <- []byte("OK\n")
		pass(time.Second)
		b.wantFrames("OK")
		if p.Written() != "AT\r" || seen.String() != ">AT\r<OK\n" {
			t.Errorf("written %q, seen %q", p.Written(), &seen)
		}
		if err := h.Set(t.Context(), serialport.LineChange{Baud: 300}); !errors.Is(err, serialport.ErrFixedLine) {
			t.Errorf("a port without a line: %v", err)
		}
		stop()
		h.Release()
		if err := h.Write(t.Context(), []byte("late")); err == nil {
			t.Error("a hold writes after its end")
		}
		if err := b.dev.Write([]byte("x"), time.Time{}, func(error) {}); err != nil {
			t.Errorf("a command afterwards: %v", err)
		}
		pass(time.Second)
		if got := seen.String(); p.Written() != "AT\rx\n" || got != ">AT\r<OK\n" {
			t.Errorf("written %q, seen %q", p.Written(), got)
		}
		b.stop()
	})
}

func TestAHoldChangesTheLineAndGivesItBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &settable{Port: porttest.NewPort(serialport.ErrGone)}
		ports := []*settable{p, {Port: porttest.NewPort(serialport.ErrGone)}}
		opened := 0
		b := newBench(t, func(o *Options) { o.Baud = 9600 })
		b.dev.o.Open = func(context.Context, string, serialport.Line) (serialport.Port, error) {
			opened++
			return ports[opened-1], nil
		}
		b.start()
		h, err := b.dev.Hold()
		if err != nil {
			t.Fatal(err)
		}
		even, _ := serialport.ParseMode("7E1")
		for _, c := range []serialport.LineChange{{Baud: 300}, {Mode: even}} {
			if err := h.Set(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		p.HangUp() // unplugged and plugged in again
		pass(time.Minute)
		h.Release()
		pass(time.Second)
		b.stop()
		eight, _ := serialport.ParseMode("8N1")
		want := []serialport.LineChange{{Baud: 300, Mode: even}, {Baud: 9600, Mode: eight}}
		if got := ports[1].set; len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%+v, want %+v", got, want)
		}
	})
}

// A change and bytes that waited behind a request come too late for a hold that has ended meanwhile.
func TestWhatAHoldLeavesBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &settable{Port: porttest.NewPort(serialport.ErrGone)}
		b := newBench(t, func(o *Options) { o.Baud = 9600 })
		b.dev.o.Open = func(context.Context, string, serialport.Line) (serialport.Port, error) { return p, nil }
		b.start()
		h, err := b.dev.Hold()
		if err != nil {
			t.Fatal(err)
		}
		on := true
		if err := h.Set(t.Context(), serialport.LineChange{Baud: 1200, DTR: &on}); err != nil {
			t.Fatal(err)
		}
		h.Release()
		pass(time.Second)
		if err := b.dev.Request(Request{Payload: []byte("?"), Timeout: 10 * time.Second}, func(Answer, error) {}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if h, err = b.dev.Hold(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = h.Set(ctx, serialport.LineChange{Baud: 300}) }()
		go func() { _ = h.Write(ctx, []byte("too late")) }()
		pass(time.Second)
		cancel()
		h.Release()
		next, err := b.dev.Hold()
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if err := next.Set(t.Context(), serialport.LineChange{Baud: 7}); !errors.Is(err, serialport.ErrBadLine) {
			t.Errorf("7 baud: %v", err)
		}
		next.Release()
		b.stop()
		if p.Written() != "?\n" {
			t.Errorf("written %q", p.Written())
		}
		if len(p.set) != 2 || p.set[0].Baud != 1200 || p.set[1].Baud != 9600 || p.set[1].DTR == nil {
			t.Errorf("%+v", p.set)
		}
	})
}

// What a user was told is written goes out at the speed at which it was written, and is not thrown away at the end.
func TestWhatIsWrittenGoesOutAsItWasMeant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &settable{Port: porttest.NewPort(serialport.ErrGone)}
		var mu sync.Mutex
		baud, waiting, wrong := 9600, 0, 0 // a driver that buffers what it is given
		p.OnWrite = func(q []byte, _ time.Time) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			waiting += len(q)
			return len(q), nil
		}
		p.OnDrain = func(until time.Time) error {
			mu.Lock()
			defer mu.Unlock()
			takes := time.Duration(waiting) * 10 * time.Second / time.Duration(baud)
			if time.Now().Add(takes).After(until) {
				return os.ErrDeadlineExceeded
			}
			time.Sleep(takes)
			waiting = 0
			return nil
		}
		p.onSet = func(c serialport.LineChange) {
			mu.Lock()
			defer mu.Unlock()
			wrong += waiting
			baud = c.Baud
		}
		b := newBench(t, func(o *Options) { o.Baud = 9600 })
		b.dev.o.Open = func(context.Context, string, serialport.Line) (serialport.Port, error) { return p, nil }
		b.start()
		h, err := b.dev.Hold()
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []func() error{
			func() error { return h.Write(t.Context(), []byte("ACK")) },
			func() error { return h.Set(t.Context(), serialport.LineChange{Baud: 300}) },
			func() error { return h.Write(t.Context(), make([]byte, 2048)) },
		} {
			if err := step(); err != nil {
				t.Fatal(err)
			}
		}
		h.Release()
		pass(time.Minute)
		b.stop()
		if wrong != 0 || p.Discarded() != 0 {
			t.Errorf("%d bytes at another speed, %d times thrown away", wrong, p.Discarded())
		}
	})
}

// A long write under a hold ends with it, at the speed of the line.
func TestASlowWriteEndsWithItsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &settable{Port: porttest.NewPort(serialport.ErrGone)}
		p.OnWrite = func(q []byte, _ time.Time) (int, error) {
			time.Sleep(time.Duration(len(q)) * 200 * time.Millisecond)
			return len(q), nil
		}
		b := newBench(t, func(o *Options) { o.Baud = 9600 })
		b.dev.o.Open = func(context.Context, string, serialport.Line) (serialport.Port, error) { return p, nil }
		b.start()
		h, err := b.dev.Hold()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Set(t.Context(), serialport.LineChange{Baud: 50}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() { _ = h.Write(ctx, make([]byte, 4096)) }()
		pass(time.Second)
		cancel()
		h.Release()
		pass(5 * time.Second)
		if n := len(p.Written()); n > 100 || p.set[len(p.set)-1].Baud != 9600 {
			t.Errorf("%d bytes written, line %+v", n, p.set)
		}
		b.stop()
	})
}

func TestABusIsNotPolledWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusBench(t,
			ModbusOptions{Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{word("x", 0)}}}})
		b.start()
		pass(5500 * time.Millisecond)
		h, err := b.dev.Hold()
		if err != nil {
			t.Fatal(err)
		}
		pass(2 * time.Second)
		before := len(b.wasAsked(7))
		pass(10 * time.Second)
		if n := len(b.wasAsked(7)); n != before {
			t.Errorf("%d polls under a hold", n-before)
		}
		if err := h.Write(t.Context(), []byte{1, 2, 3}); err != nil {
			t.Error(err)
		}
		h.Release()
		pass(5500 * time.Millisecond)
		if n := len(b.wasAsked(7)) - before; n < 5 || n > 7 {
			t.Errorf("%d polls in 5.5 s after it", n)
		}
		b.stop()
	})
}
