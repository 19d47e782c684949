package bridge

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// codeless is the error that callers branch on.
func codeless(err error) error {
	for _, e := range []error{ErrExpired, ErrNoAnswer, ErrReadBack, ErrStuck, ErrLost, ErrNotOpen} {
		if errors.Is(err, e) {
			return e
		}
	}
	return err
}

// noLater fails when something but a read went out after a moment.
func (b *busBench) noLater(unit byte, than time.Time) {
	b.t.Helper()
	for _, q := range b.wasAsked(unit) {
		if !modbus.Reads(q.pdu) && q.at.After(than) {
			b.t.Errorf("%x went out %v after it expired", q.pdu, q.at.Sub(than))
		}
	}
}

func TestACommandForAUnitThatRestsExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{}, every(word("x", 1), time.Hour))
		b.start()
		pass(1100 * time.Millisecond)
		b.change(func(s *slaves) { s.mute = 1 })
		if _, err := b.request(Request{Unit: "pump", Payload: []byte{3, 0, 0, 0, 1}, Timeout: 20 * time.Second}); err == nil {
			t.Error("answered")
		}
		expires := time.Now().Add(500 * time.Millisecond)
		write := b.enqueue("pump", map[string]string{"x": "3"}, expires)
		request := make(chan error, 1)
		if err := b.dev.Request(Request{Unit: "pump", Payload: []byte{6, 0, 1, 0, 3}, Expires: expires},
			func(_ Answer, err error) { request <- err }); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		if e := <-write; !errors.Is(e.err, ErrExpired) {
			t.Error(e.err)
		}
		if err := <-request; !errors.Is(err, ErrExpired) {
			t.Error(err)
		}
		b.noLater(7, expires)
		b.stop()
	})
}

func TestTheSilenceBeforeAWriteDoesNotOutliveIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{Turnaround: 200 * time.Millisecond}, every(word("x", 1), time.Hour))
		b.start()
		pass(1100 * time.Millisecond)
		if _, err := b.request(Request{Unit: "pump", Payload: []byte{3, 0, 0, 0, 1}}); err != nil {
			t.Error(err)
		}
		expires := time.Now().Add(100 * time.Millisecond)
		if e := <-b.enqueue("pump", map[string]string{"x": "3"}, expires); !errors.Is(e.err, ErrExpired) {
			t.Error(e.err)
		}
		b.noLater(7, expires)
		b.stop()
	})
}

func TestWhatExpiresBetweenTwoValuesIsNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{}, every(word("a", 1), time.Hour), every(word("b", 20), time.Hour),
			every(word("c", 40), time.Hour))
		b.change(func(s *slaves) { s.delay = 250 * time.Millisecond })
		b.start()
		pass(2100 * time.Millisecond)
		expires := time.Now().Add(100 * time.Millisecond)
		e := <-b.enqueue("pump", map[string]string{"a": "3", "b": "4", "c": "5"}, expires)
		if !errors.Is(e.err, ErrExpired) || fmt.Sprint(e.a.Values) != "[3]" {
			t.Errorf("%v, %v", e.a.Values, e.err)
		}
		b.noLater(7, expires)
		b.stop()
	})
}

func TestBitsThatExpireWhileTheirRegisterIsReadAreNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flag := every(word("flag", 1), time.Hour)
		flag.Type = "bit"
		b := pumpAnd(t, false, ModbusOptions{Retries: 2}, flag)
		b.change(func(s *slaves) { s.delay = 250 * time.Millisecond })
		b.start()
		pass(2100 * time.Millisecond)
		expires := time.Now().Add(200 * time.Millisecond)
		if e := <-b.enqueue("pump", map[string]string{"flag": "true"}, expires); !errors.Is(e.err, ErrExpired) ||
			len(e.a.Values) > 0 {
			t.Errorf("%v, %v", e.a.Values, e.err)
		}
		b.noLater(7, expires)
		b.stop()
	})
}

func TestBitsWhoseRegisterCannotBeReadAreNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		flag := every(word("flag", 1), time.Hour)
		flag.Type = "bit"
		b := pumpAnd(t, false, ModbusOptions{}, flag, word("x", 50))
		b.change(func(s *slaves) { s.missed = map[uint16]bool{1: true} })
		b.start()
		pass(2100 * time.Millisecond)
		before := b.dev.Status().Opens
		e := <-b.enqueue("pump", map[string]string{"flag": "true"}, time.Time{})
		if !errors.Is(e.err, errFirst) {
			t.Error(e.err)
		}
		pass(time.Second)
		if b.dev.Status().Opens != before {
			t.Error("it cost the session")
		}
		b.noLater(7, time.Time{})
		b.stop()
	})
}

func TestWhatWasWrittenIsReadBackWhateverCameAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{}, every(word("a", 1), time.Hour), every(word("b", 20), time.Hour))
		b.change(func(s *slaves) {
			s.protocol = modbus.RTU
			s.refuses = func(pdu []byte) bool { return pdu[0] == 6 && address(pdu) == 20 }
		})
		b.start()
		pass(time.Second)
		var x modbus.Exception
		a, err := b.set("pump", map[string]string{"a": "3", "b": "4"})
		if !errors.As(err, &x) || fmt.Sprint(a.Values) != "[3]" {
			t.Errorf("%v, %v", a.Values, err)
		}
		b.stop()
	})
}

func TestAGarbledAnswerToAWriteLeavesItsOutcomeOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{}, every(word("x", 1), time.Hour))
		b.start()
		pass(time.Second)
		b.change(func(s *slaves) { s.mute = 1 })
		time.AfterFunc(10*time.Millisecond, func() { b.slaves.port.In <- []byte{7, 6, 0xff, 1} })
		if e := <-b.enqueue("pump", map[string]string{"x": "3"}, time.Time{}); !errors.Is(e.err, ErrNoAnswer) ||
			fmt.Sprint(e.a.Values) != "[0]" {
			t.Errorf("%v, %v", e.a.Values, e.err)
		}
		b.stop()
	})
}

// A gateway that waits no longer, and a unit that is still at it, do not say that nothing was written.
func TestAWriteWhoseOutcomeIsNotToldIsReadBack(t *testing.T) {
	for _, says := range []modbus.Exception{modbus.GatewayTargetSilent, modbus.Acknowledge} {
		synctest.Test(t, func(t *testing.T) {
			b := pumpAnd(t, false, ModbusOptions{Retries: 1, Protocol: modbus.TCP}, word("x", 1), word("y", 50))
			b.change(func(s *slaves) { s.says = map[byte]modbus.Exception{6: says} })
			b.start()
			pass(1500 * time.Millisecond)
			a, err := b.set("pump", map[string]string{"x": "42", "y": "43"})
			var e modbus.Exception
			if !errors.Is(err, ErrNoAnswer) || !errors.As(err, &e) || e != says || fmt.Sprint(a.Values) != "[42]" {
				t.Errorf("%v, %v", a.Values, err)
			}
			b.stop()
		})
	}
}

func TestNothingOfAnUnansweredWriteGoesOutLater(t *testing.T) {
	for _, read := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := pumpAnd(t, false, ModbusOptions{}, every(word("x", 1), time.Hour))
			b.start()
			pass(time.Second)
			b.change(func(s *slaves) { delete(s.words, 7) })
			pdu, want := []byte{6, 0, 1, 0, 3}, 1
			if read {
				pdu, want = []byte{3, 0, 1, 0, 1}, 0
			}
			if _, err := b.request(Request{Unit: "pump", Payload: pdu}); !errors.Is(err, ErrNoAnswer) {
				t.Error(err)
			}
			if n := b.slaves.port.Discarded(); n != want {
				t.Errorf("discarded %d times, a read: %v", n, read)
			}
			b.stop()
		})
	}
}

func TestAnyAnswerEndsTheBackOffOfADeadUnit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{}, word("x", 1))
		b.change(func(s *slaves) { delete(s.words, 7) })
		b.start()
		pass(10 * time.Minute)
		b.change(func(s *slaves) { s.words[7] = map[uint16]uint16{} })
		if _, err := b.request(Request{Unit: "pump", Payload: []byte{3, 0, 9, 0, 1}}); err != nil {
			t.Error(err)
		}
		if s := b.dev.Status().Units[0]; s.State != UnitLive {
			t.Errorf("%+v", s)
		}
		pass(1100 * time.Millisecond)
		if len(b.told("pump")) == 0 {
			t.Error("it is not polled")
		}
		b.stop()
	})
}

func TestAFunctionOfAnExceptionIsRefused(t *testing.T) {
	b := pumpAnd(t, false, ModbusOptions{}, word("x", 1))
	if err := b.dev.Request(Request{Unit: "pump", Payload: []byte{0x83, 2}}, nil); !errors.Is(err, modbus.ErrValue) {
		t.Error(err)
	}
}

// The driver of a line with two wires that is switched by the program must be off before the answer comes.
func TestABusWithTwoWiresIsListenedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{}, word("x", 1))
		b.dev.o.RS485.Mode = serialport.RS485RTS
		drained := 0
		b.slaves.port.OnDrain = func(time.Time) error { drained++; return nil }
		b.start()
		pass(10500 * time.Millisecond)
		if n := len(b.wasAsked(7)); drained != n || n < 10 {
			t.Errorf("%d requests, drained %d times", n, drained)
		}
		b.stop()
	})
}

func TestCommandsForOthersPassThoseOfAUnitThatRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, true, ModbusOptions{Timeout: time.Second}, every(word("x", 1), time.Hour))
		b.start()
		pass(1500 * time.Millisecond)
		b.change(func(s *slaves) { s.mute = 1 })
		first := b.enqueue("pump", map[string]string{"x": "1"}, time.Time{})
		second := b.enqueue("pump", map[string]string{"x": "2"}, time.Time{})
		other := b.enqueue("other", map[string]string{"x": "3"}, time.Time{})
		one, two, three := <-first, <-second, <-other
		if !errors.Is(one.err, ErrNoAnswer) || two.err != nil || three.err != nil {
			t.Errorf("%v, %v, %v", one.err, two.err, three.err)
		}
		if !three.at.Before(one.at) || !one.at.Before(two.at) {
			t.Errorf("the other's at %v, the first at %v, the second at %v", three.at, one.at, two.at)
		}
		if s := b.dev.Status(); s.IdleWait > 10*time.Millisecond {
			t.Errorf("a command waited %v on an idle bus", s.IdleWait)
		}
		b.stop()
	})
}

// A console gets the bus after what was queued before it, and that may have to wait for a unit that rests.
func TestAConsoleWaitsForTheCommandsBeforeIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, true, ModbusOptions{Timeout: time.Second}, every(word("x", 1), time.Hour))
		b.start()
		pass(1500 * time.Millisecond)
		b.change(func(s *slaves) { s.mute = 1 })
		first, second := b.enqueue("pump", map[string]string{"x": "1"}, time.Time{}),
			b.enqueue("pump", map[string]string{"x": "2"}, time.Time{})
		pass(100 * time.Millisecond)
		h, err := b.dev.Hold()
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Write(t.Context(), []byte{0x99, 3, 0, 0, 0, 0, 0, 0}); err != nil {
			t.Error(err)
		}
		if len(first) != 1 || len(second) != 1 {
			t.Error("it did not wait")
		}
		if e := <-second; e.err != nil {
			t.Error(e.err)
		}
		from := time.Now()
		pass(5 * time.Second)
		if n := len(b.wasAsked(8)); b.worstPeriod(8, from) < 5*time.Second {
			t.Errorf("polled under a hold (%d)", n)
		}
		h.Release()
		pass(2 * time.Second)
		if w := b.worstPeriod(8, time.Now().Add(-1500*time.Millisecond)); w > 1200*time.Millisecond {
			t.Errorf("not polled for %v after it", w)
		}
		b.stop()
	})
}
