package bridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport/porttest"
)

// When this machine was stopped for a while, the answer and the end of the time for it are there at once.
func TestAnAnswerThatIsThereIsNotLate(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			b := pumpAnd(t, false, ModbusOptions{}, word("x", 1))
			q := exchange{query: modbus.Query{Unit: 7, PDU: modbus.ReadPDU(modbus.Holding, 1, 1)}}
			line := modbus.RTU.Append(nil, modbus.Query{Unit: 7, PDU: []byte{3, 2, 0, 9}})
			m := newMaster(b.dev, b.port)
			for _, c := range [][][]byte{{line}, {line[:3], line[3:]}} {
				for _, p := range c {
					m.rx <- p
				}
				if pdu, _, err := m.awaitAnswer(t.Context(), q); err != nil || pdu[3] != 9 {
					t.Errorf("%x, %v", pdu, err)
				}
			}
			if _, _, err := m.awaitAnswer(t.Context(), q); !errors.Is(err, ErrNoAnswer) || errors.Is(err, errGarbled) {
				t.Errorf("silence is %v", err)
			}
		})
	}
}

// A line that is never quiet is asked all the same, and does not hold up a stop. Here all of it waits already.
func TestABusThatNeverFallsSilent(t *testing.T) {
	b := pumpAnd(t, false, ModbusOptions{}, word("x", 1))
	b.dev.o.WriteTimeout = 5 * time.Millisecond
	m := newMaster(b.dev, b.port)
	m.rx = make(chan []byte, 1<<19)
	for range cap(m.rx) {
		m.rx <- []byte{0x55}
	}
	if _, err := m.waitIdle(t.Context()); err != nil || len(m.rx) == 0 {
		t.Errorf("%v, %d left", err, len(m.rx))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.dev.o.WriteTimeout = time.Hour
	if _, err := m.waitIdle(ctx); !errors.Is(err, ErrLost) || len(m.rx) == 0 {
		t.Errorf("%v, %d left", err, len(m.rx))
	}
}

// tearable is a connection.
type tearable struct{ *porttest.Port }

func (p tearable) Abort() error { p.HangUp(); return nil }

// dials lets the bus find a port of its own each time it opens one.
func (b *busBench) dials(made func(*porttest.Port)) {
	b.dev.o.Open = func(context.Context, string, serialport.Line) (serialport.Port, error) {
		b.connect()
		b.bench.mu.Lock()
		defer b.bench.mu.Unlock()
		made(b.port)
		return tearable{b.port}, nil
	}
}

// Over TCP a write without an answer ends the connection. That says nothing about the other units.
func TestAWriteWithoutAnAnswerLeavesTheOtherUnitsAsTheyWere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var regs []modbus.Register
		for i := range uint16(8) {
			regs = append(regs, word(fmt.Sprint("r", i), i))
		}
		b := newBusBench(t, ModbusOptions{Protocol: modbus.TCP, Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: regs},
			{Name: "other", Address: 8, Registers: regs}}})
		b.dials(func(*porttest.Port) {})
		b.change(func(s *slaves) {
			s.missed = map[uint16]bool{5: true}
			s.ignores = func(unit byte, pdu []byte) bool { return unit == 7 && !modbus.Reads(pdu) }
		})
		b.start()
		pass(3500 * time.Millisecond)
		b.change(func(s *slaves) { s.wasAsked = nil })
		_, err := b.set("pump", map[string]string{"r1": "3"})
		if !errors.Is(err, ErrNoAnswer) || !strings.HasPrefix(err.Error(), `device "meter": `) { // it travels to the operator
			t.Error(err)
		}
		pass(3 * time.Second)
		for _, q := range b.wasAsked(8) {
			if a := address(q.pdu); a <= 5 && a+uint16(q.pdu[4]) > 6 {
				t.Errorf("%x asks again for what was refused as a whole", q.pdu)
			}
		}
		if n := b.dev.Status().Opens; n != 2 {
			t.Errorf("%d sessions", n)
		}
		b.stop()
	})
}

// A server that accepts and closes at once is not back.
func TestAPortThatComesOnlyToGoIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{Protocol: modbus.TCP}, word("x", 1), every(word("slow", 100), time.Hour))
		var ill atomic.Bool
		var last atomic.Pointer[porttest.Port]
		b.dials(func(p *porttest.Port) {
			if last.Store(p); ill.Load() {
				p.HangUp()
			}
		})
		b.start()
		pass(20 * time.Second)
		for range 2 {
			before := len(b.told("pump"))
			ill.Store(true)
			last.Load().HangUp()
			pass(10 * time.Minute)
			if got := b.told("pump")[before:]; len(got) != 1 || fmt.Sprint(got[0].Readings) != "[port lost port lost]" {
				t.Errorf("%d records: %v", len(got), got[:min(len(got), 3)])
			}
			ill.Store(false)
			pass(time.Minute)
			for _, name := range []string{"x", "slow"} {
				if _, _, last := b.readings("pump", name); last != "0" {
					t.Errorf("%s is %s after it is back", name, last)
				}
			}
		}
		if states := b.states(); slices.Contains(states, Failed) {
			t.Error(states)
		}
		b.stop()
	})
}
