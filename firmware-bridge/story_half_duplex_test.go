package bridge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// Whoever writes to a port leaves it listening, else no other device on the line is heard any more.
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
			p, line := b.port, porttest.NewDriver()
			p.OnDrain = func(time.Time) error { time.Sleep(2 * time.Millisecond); return nil }
			b.dev.o.RS485 = serialport.RS485{Mode: serialport.RS485RTS}
			b.dev.o.Open = func(context.Context, string, serialport.Line) (serialport.Port, error) {
				return serialport.NewHalfDuplex(p, line, b.dev.o.RS485)
			}
			b.start()
			if err := c.do(b); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			pass(300 * time.Millisecond)
			if n := len(line.Log); n < 3 || !strings.HasSuffix(line.Log[n-1], "listen") ||
				!strings.HasSuffix(line.Log[n-2], "send") {
				t.Errorf("%s: %q", name, line.Log)
			}
			b.stop()
		})
	}
}

// A console that sets RTS would leave the driver on, and tidying up behind it as well.
func TestAConsoleCannotSwitchTheDriver(t *testing.T) {
	for _, mode := range []string{serialport.RS485RTS, serialport.RS485GPIO} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, nil)
			p, line := &settable{Port: b.plug()}, porttest.NewDriver()
			b.dev.o.RS485 = serialport.RS485{Mode: mode}
			b.dev.o.Open = func(context.Context, string, serialport.Line) (serialport.Port, error) {
				return serialport.NewHalfDuplex(p, line, b.dev.o.RS485)
			}
			b.start()
			h, err := b.dev.Hold()
			if err != nil {
				t.Fatal(err)
			}
			off := false
			refused := errors.Is(h.Set(t.Context(), serialport.LineChange{RTS: &off}), serialport.ErrFixedLine)
			if refused != (mode == serialport.RS485RTS) {
				t.Errorf("%s: refused %v", mode, refused)
			}
			if err := h.Set(t.Context(), serialport.LineChange{Baud: 300}); err != nil {
				t.Error(err)
			}
			h.Release()
			pass(time.Minute)
			p.mu.Lock()
			for _, c := range p.set {
				if mode == serialport.RS485RTS && c.RTS != nil {
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
