package bridge

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// pumpAnd is a bus with a unit named pump at 7, and maybe another at 8 that reads x each second.
func pumpAnd(t *testing.T, other bool, o ModbusOptions, regs ...modbus.Register) *busBench {
	o.Units = []ModbusUnit{{Name: "pump", Address: 7, Registers: regs}}
	if other {
		o.Units = append(o.Units, ModbusUnit{Name: "other", Address: 8, Registers: []modbus.Register{word("x", 1)}})
	}
	return newBusBench(t, o)
}

func every(r modbus.Register, d time.Duration) modbus.Register {
	r.Every = d
	return r
}

func TestALateAnswerToAnImpatientRequestIsNotPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{}, word("x", 1))
		b.change(func(s *slaves) { s.delay = 60 * time.Millisecond; s.words[7][1] = 11; s.words[7][100] = 999 })
		b.start()
		pass(1985 * time.Millisecond)
		if _, err := b.request(Request{Unit: "pump", Payload: []byte{3, 0, 100, 0, 1},
			Timeout: 10 * time.Millisecond}); err == nil {
			t.Error("answered in 10 ms")
		}
		pass(3 * time.Second)
		got := b.told("pump")
		for _, v := range got {
			if s := fmt.Sprint(v.Readings); s != "[11]" {
				t.Errorf("published %s", s)
			}
		}
		if len(got) < 4 {
			t.Errorf("%d records", len(got))
		}
		b.stop()
	})
}

func TestALateAnswerAfterNoiseIsNotThatOfTheNextRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{}, every(word("x", 1), time.Hour))
		b.start()
		pass(1100 * time.Millisecond)
		b.change(func(s *slaves) { s.delay = 350 * time.Millisecond; s.words[7][100] = 999; s.words[7][1] = 11 })
		time.AfterFunc(50*time.Millisecond, func() { b.slaves.port.In <- []byte{0xff} })
		if _, err := b.request(Request{Unit: "pump", Payload: []byte{3, 0, 100, 0, 1},
			Timeout: 300 * time.Millisecond}); err == nil {
			t.Error("noise is an answer")
		}
		a, err := b.request(Request{Unit: "pump", Payload: []byte{3, 0, 1, 0, 1}, Timeout: 400 * time.Millisecond})
		if err != nil || fmt.Sprintf("%x", a.Frames[0]) != "0302000b" {
			t.Errorf("register 1 is 11: %x, %v", a.Frames, err)
		}
		b.stop()
	})
}

func TestAUnitThatOwesAnAnswerDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, true, ModbusOptions{}, word("x", 1))
		b.start()
		pass(1100 * time.Millisecond)
		b.change(func(s *slaves) { s.mute = 1 })
		if _, err := b.request(Request{Unit: "pump", Payload: []byte{0x2b, 14, 1, 0}, Timeout: 10 * time.Second}); err == nil {
			t.Error("answered")
		}
		over := time.Now()
		pass(30 * time.Second)
		if w := b.worstPeriod(8, over); w > 1020*time.Millisecond {
			t.Errorf("afterwards the other unit was not polled for %v", w)
		}
		if w := b.worstPeriod(7, over); w > 2*time.Second {
			t.Errorf("the unit itself was not polled for %v", w)
		}
		b.stop()
	})
}

// Requests to addresses that are no unit's rest too.
func TestAStrangerRestsAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{}, word("x", 1))
		b.start()
		pass(1100 * time.Millisecond)
		b.change(func(s *slaves) {
			s.words[99] = map[uint16]uint16{1: 11, 2: 22}
			s.slow = map[byte]time.Duration{99: 350 * time.Millisecond}
		})
		if _, err := b.request(Request{Payload: []byte{99, 3, 0, 2, 0, 1}, Timeout: 300 * time.Millisecond}); err == nil {
			t.Error("answered in time")
		}
		a, err := b.request(Request{Payload: []byte{99, 3, 0, 1, 0, 1}, Timeout: 400 * time.Millisecond})
		if err != nil || fmt.Sprintf("%x", a.Frames[0]) != "630302000b" {
			t.Errorf("%x, %v", a.Frames, err)
		}
		b.stop()
	})
}

func TestABlockThatAUnitIgnoresCostsOnlyItself(t *testing.T) {
	for _, ignored := range []uint16{0, 200, 400} {
		for _, retries := range []int{0, 1, 3} {
			t.Run(fmt.Sprint("register ", ignored, " retries ", retries), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { ignoredBlock(t, ignored, retries) })
			})
		}
	}
}

func ignoredBlock(t *testing.T, ignored uint16, retries int) {
	b := pumpAnd(t, true, ModbusOptions{Retries: retries}, word("a", 0), word("b", 200), word("c", 400))
	b.change(func(s *slaves) {
		s.ignores = func(unit byte, pdu []byte) bool { return unit == 7 && address(pdu) == ignored }
	})
	b.start()
	pass(10 * time.Second) // until that is known
	from := time.Now()
	b.change(func(s *slaves) { s.wasAsked = nil })
	pass(time.Minute)
	for name, at := range map[string]uint16{"a": 0, "b": 200, "c": 400} {
		good, bad, _ := b.readings("pump", name)
		if at == ignored && (good > 0 || bad == 0) || at != ignored && (good < 56 || bad > 0) { // after each try one is not sure
			t.Errorf("%s: %d values, %d times bad", name, good, bad)
		}
	}
	tried := 0
	for _, q := range b.wasAsked(7) {
		if address(q.pdu) == ignored {
			tried++
		}
	}
	if tried == 0 || tried > 6 {
		t.Errorf("what it ignores was tried %d times in a minute", tried)
	}
	if w := b.worstPeriod(8, from); w > 1020*time.Millisecond {
		t.Errorf("another unit was not polled for %v", w)
	}
	if s := b.dev.Status().Units[0]; s.State != UnitLive || s.Why == "" {
		t.Errorf("%+v", s)
	}
	other := "a"
	if ignored == 0 {
		other = "c"
	}
	before, _, _ := b.readings("pump", other)
	pass(10 * time.Minute)
	if good, _, _ := b.readings("pump", other); good-before < 575 {
		t.Errorf("%d values in ten minutes", good-before)
	}
	b.change(func(s *slaves) { s.ignores = nil })
	pass(2 * time.Minute)
	for _, name := range []string{"a", "b", "c"} {
		if _, _, last := b.readings("pump", name); last != "0" {
			t.Errorf("%s is %s after the unit answers to all", name, last)
		}
	}
	if s := b.dev.Status().Units[0]; s.Why != "" {
		t.Errorf("%+v", s)
	}
	b.stop()
}

// Registers that are read for nothing between two others may be those that a unit does not answer for.
func TestOneRegisterOfAnIgnoredBlockCostsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var regs []modbus.Register
		for i := range 8 {
			regs = append(regs, word(fmt.Sprint("r", i), uint16(i)))
		}
		b := pumpAnd(t, false, ModbusOptions{Retries: 1}, append(regs, word("far", 500))...)
		b.change(func(s *slaves) {
			s.ignores = func(_ byte, pdu []byte) bool { at := address(pdu); return at <= 5 && at+uint16(pdu[4]) > 5 }
		})
		b.start()
		pass(5 * time.Minute)
		for i := range 8 {
			if _, _, last := b.readings("pump", fmt.Sprint("r", i)); (last == "0") == (i == 5) {
				t.Errorf("r%d is %s", i, last)
			}
		}
		b.stop()
	})
}

func TestASlowUnitIsFoundOnABusyBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusBench(t, ModbusOptions{Retries: 1, Units: []ModbusUnit{
			{Name: "fast", Address: 7, Registers: []modbus.Register{every(word("x", 1), 250*time.Millisecond)}},
			{Name: "slow", Address: 8, Registers: []modbus.Register{word("x", 1)}}}})
		b.change(func(s *slaves) { s.slow = map[byte]time.Duration{8: 250 * time.Millisecond}; delete(s.words, 8) })
		b.start()
		pass(5 * time.Minute)
		b.change(func(s *slaves) { s.words[8] = map[uint16]uint16{} })
		back := time.Now()
		pass(5 * time.Minute)
		got := b.told("slow")
		if len(got) < 120 || got[0].Time.Sub(back) > 3*time.Minute {
			t.Errorf("%d records in 5 minutes; %+v", len(got), b.dev.Status().Units[1])
		}
		if s := b.dev.Status(); s.Units[0].BadAnswers > 0 || s.Bad > 0 {
			t.Errorf("its answers fell into the turns of the other: %+v", s)
		}
		b.stop()
	})
}

func TestWritesToADeadUnitLetPollsThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, true, ModbusOptions{Retries: 1}, word("x", 1))
		b.change(func(s *slaves) { delete(s.words, 7) })
		b.start()
		pass(10100 * time.Millisecond)
		from := time.Now()
		var all []<-chan ending
		for range 8 {
			all = append(all, b.enqueue("pump", map[string]string{"x": "3"}, from.Add(30*time.Second)))
		}
		pass(30 * time.Second)
		for i, c := range all {
			if e := <-c; codeless(e.err) != ErrNoAnswer {
				t.Errorf("%d: %v", i, e.err)
			}
		}
		if w := b.worstPeriod(8, from); w > 1320*time.Millisecond {
			t.Errorf("the other unit was not polled for %v", w)
		}
		b.stop()
	})
}

func TestADeadUnitIsBadInAllItsRegisters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := pumpAnd(t, false, ModbusOptions{Retries: 1}, word("x", 1), every(word("slow", 100), time.Hour))
		b.start()
		pass(10 * time.Second)
		b.change(func(s *slaves) { delete(s.words, 7) })
		pass(5 * time.Second)
		if good, bad, last := b.readings("pump", "slow"); good != 1 || bad == 0 || last != "timeout" {
			t.Errorf("%d values, %d times bad, %s at last", good, bad, last)
		}
		b.change(func(s *slaves) { s.words[7] = map[uint16]uint16{100: 5} })
		pass(time.Minute)
		if _, _, last := b.readings("pump", "slow"); last != "5" {
			t.Errorf("%s after it came back", last)
		}
		b.stop()
	})
}

func TestALostPortIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusBench(t, ModbusOptions{Units: []ModbusUnit{
			{Name: "pump", Address: 7, Registers: []modbus.Register{word("x", 1), every(word("slow", 100), time.Hour)}},
			{Name: "never", Address: 8, Registers: []modbus.Register{word("x", 1)}}}})
		b.change(func(s *slaves) { delete(s.words, 8) })
		b.start()
		pass(10 * time.Second)
		for range 2 {
			before := len(b.told("pump"))
			b.unplug()
			pass(time.Minute)
			got := b.told("pump")[before:]
			if len(got) != 1 || fmt.Sprint(got[0].Readings) != "[port lost port lost]" || len(b.told("never")) != 0 {
				t.Errorf("%v", got)
			}
			b.connect()
			pass(5 * time.Second)
			if _, _, last := b.readings("pump", "slow"); last != "0" {
				t.Errorf("%s after it came back", last)
			}
		}
		b.stop()
	})
}

func TestRefusalsOfAMomentDoNotKeepReadsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var regs []modbus.Register
		missed := map[uint16]bool{}
		for i := range 16 {
			regs, missed[uint16(i)] = append(regs, word(fmt.Sprint("r", i), uint16(i))), true
		}
		b := pumpAnd(t, false, ModbusOptions{}, regs...)
		reads := func() int {
			b.change(func(s *slaves) { s.wasAsked = nil })
			pass(10 * time.Second)
			return len(b.wasAsked(7))
		}
		refuse := func() {
			b.change(func(s *slaves) { s.missed = missed })
			pass(4 * time.Second) // the first answers after it was dead are not sure
			b.change(func(s *slaves) { s.missed = nil })
			if n := reads(); n < 100 {
				t.Errorf("%d reads in 10 s: they were not cut", n)
			}
		}
		b.start()
		refuse()
		pass(time.Hour)
		if n := reads(); n > 11 {
			t.Errorf("%d reads in 10 s an hour later", n)
		}
		refuse()
		b.change(func(s *slaves) { delete(s.words, 7) })
		pass(5 * time.Second)
		b.change(func(s *slaves) { s.words[7] = map[uint16]uint16{} })
		pass(30 * time.Second)
		if n := reads(); n > 11 {
			t.Errorf("%d reads in 10 s after the unit was dead", n)
		}
		refuse()
		b.unplug()
		b.connect()
		pass(5 * time.Second)
		if n := reads(); n > 11 {
			t.Errorf("%d reads in 10 s after the port was lost", n)
		}
		b.stop()
	})
}
