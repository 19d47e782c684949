package bridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// noted is a director that writes down what happens, with the time since it was made.
type noted struct {
	began time.Time
	log   []string
}

func (n *noted) note(what string) {
	n.log = append(n.log, fmt.Sprint(time.Since(n.began).Milliseconds(), " ", what))
}
func (n *noted) Send(on bool) error {
	n.note(map[bool]string{true: "send", false: "listen"}[on])
	return nil
}
func (n *noted) Close() error { n.note("close"); return nil }

func TestTheDriverOfALineIsOnFromBeforeTheFirstByteUntilTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := &noted{began: time.Now()}
		p := newFakePort()
		p.write = func(b []byte, _ time.Time) (int, error) {
			line.note("byte")
			return min(1, len(b)), nil
		}
		p.drain = func(time.Time) error { time.Sleep(20 * time.Millisecond); line.note("drained"); return nil }
		d, err := newDirected(p, line, RS485{Mode: RS485RTS, Before: 2 * time.Millisecond, After: 3 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		until := time.Now().Add(time.Second)
		for range 2 {
			if _, err := d.Write([]byte("x"), until); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Drain(until); err != nil {
			t.Fatal(err)
		}
		// stuck: it stays on while bytes leave, and goes off with what is dropped
		if _, err := d.Write([]byte("y"), until); err != nil {
			t.Fatal(err)
		}
		p.drain = func(time.Time) error { return os.ErrDeadlineExceeded }
		if err := d.Drain(until); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if err := errors.Join(d.Discard(), d.Close()); err != nil {
			t.Error(err)
		}
		want := []string{"0 listen", "0 send", "2 byte", "2 byte", "22 drained", "25 listen", "25 send", "27 byte", "27 listen", "27 listen", "27 close"}
		if !slices.Equal(line.log, want) {
			t.Errorf("\n got %q\nwant %q", line.log, want)
		}
	})
}

// closing is a port that is closed while a writer is on the way to it.
type closing struct {
	*fakePort
	meanwhile func()
}

func (c closing) Close() error { c.meanwhile(); return c.fakePort.Close() }

func TestAWriteThatComesWithCloseLeavesTheDriverOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := &noted{began: time.Now()}
		p := closing{fakePort: newFakePort()}
		var d *directed
		p.meanwhile = func() {
			if _, err := d.Write([]byte("x"), time.Time{}); !errors.Is(err, os.ErrClosed) {
				t.Errorf("a write behind Close: %v", err)
			}
		}
		d = &directed{Port: &p, dir: line}
		if err := errors.Join(d.Close(), d.Close()); err != nil {
			t.Error(err)
		}
		if want := []string{"0 listen", "0 close", "0 close"}; !slices.Equal(line.log, want) {
			t.Errorf("\n got %q\nwant %q", line.log, want)
		}
	})
}

// Whoever writes to a port leaves it listening, or nobody else on the line is heard any more.
func TestEveryUserOfAHalfDuplexLineListensAfterwards(t *testing.T) {
	units := ModbusOptions{Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{word("x", 0)}}}}
	done := func(error) {}
	for name, c := range map[string]struct {
		bus bool
		do  func(*busBench) error
	}{
		"a command": {false, func(b *busBench) error { return b.dev.Write([]byte("x"), time.Time{}, done) }},
		"a request": {false, func(b *busBench) error {
			return b.dev.Request(Request{Payload: []byte("x")}, func(Answer, error) {})
		}},
		"a console": {false, func(b *busBench) error {
			h, err := b.dev.Hold()
			return errors.Join(err, h.Write(context.Background(), []byte("x")))
		}},
		"a poll":  {true, func(*busBench) error { return nil }},
		"a write": {true, func(b *busBench) error { _, err := b.set("pump", map[string]string{"x": "1"}); return err }},
		"a request to one": {true, func(b *busBench) error {
			_, err := b.request(Request{Payload: []byte{3, 0, 0, 0, 1}, Unit: "pump"})
			return err
		}},
		"a console of a bus": {true, func(b *busBench) error {
			h, err := b.dev.Hold()
			return errors.Join(err, h.Write(context.Background(), []byte("x\x01\x02\x03")))
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var b *busBench
			if c.bus {
				b = newBusBench(t, units)
			} else {
				b = &busBench{bench: newBench(t, nil)}
				b.plug()
			}
			p, line := b.port, &noted{began: time.Now()}
			p.drain = func(time.Time) error { time.Sleep(2 * time.Millisecond); return nil }
			b.dev.o.RS485 = RS485{Mode: RS485RTS}
			b.dev.o.Open = func(context.Context, string, Line) (Port, error) { return newDirected(p, line, b.dev.o.RS485) }
			b.start()
			if err := c.do(b); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			pass(300 * time.Millisecond)
			if n := len(line.log); n < 3 || !strings.HasSuffix(line.log[n-1], "listen") || !strings.HasSuffix(line.log[n-2], "send") {
				t.Errorf("%s: %q", name, line.log)
			}
			b.stop()
		})
	}
}

// A console that sets RTS would leave the driver on, and tidying up behind it as well.
func TestAConsoleCannotSwitchTheDriver(t *testing.T) {
	for _, mode := range []string{RS485RTS, RS485GPIO} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, nil)
			p, line := &settable{fakePort: b.plug()}, &noted{began: time.Now()}
			b.dev.o.RS485 = RS485{Mode: mode}
			b.dev.o.Open = func(context.Context, string, Line) (Port, error) { return newDirected(p, line, b.dev.o.RS485) }
			b.start()
			h, err := b.dev.Hold()
			if err != nil {
				t.Fatal(err)
			}
			off := false
			if err := h.Set(t.Context(), LineChange{RTS: &off}); errors.Is(err, ErrFixedLine) != (mode == RS485RTS) {
				t.Errorf("%s: %v", mode, err)
			}
			if err := h.Set(t.Context(), LineChange{Baud: 300}); err != nil {
				t.Error(err)
			}
			h.Release()
			pass(time.Minute)
			p.mu.Lock()
			for _, c := range p.set {
				if mode == RS485RTS && c.RTS != nil {
					t.Errorf("RTS was set to %v", *c.RTS)
				}
			}
			if len(p.set) < 2 {
				t.Errorf("%+v", p.set)
			}
			p.mu.Unlock()
			b.stop()
		})
	}
}

func TestLineRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		line Line
		port string
	}{
		"a flow of its own":      {Line{Flow: "dtr"}, "/dev/x"},
		"an unknown mode":        {Line{RS485: RS485{Mode: "dtr"}}, "/dev/x"},
		"RTS twice":              {Line{Flow: FlowRTSCTS, RS485: RS485{Mode: RS485Kernel}}, "/dev/x"},
		"a delay of half a ms":   {Line{RS485: RS485{Mode: RS485Kernel, Before: time.Millisecond / 2}}, "/dev/x"},
		"a long delay":           {Line{RS485: RS485{Mode: RS485RTS, After: time.Second}}, "/dev/x"},
		"gpio without a chip":    {Line{RS485: RS485{Mode: RS485GPIO}}, "/dev/x"},
		"rs485 over the network": {Line{RS485: RS485{Mode: RS485RTS}}, "tcp://a:1"},
	} {
		if err := c.line.check(c.port); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for _, good := range []Line{{}, {Flow: FlowRTSCTS, RS485: RS485{Mode: RS485GPIO, Chip: "gpiochip0"}}} {
		if err := good.check("/dev/x"); err != nil {
			t.Error(err)
		}
	}
}
