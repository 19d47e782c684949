package bridge

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// crowd is a bus of units at 1, 2, … that are each read every second.
func crowd(t *testing.T, units int) *busBench {
	o := ModbusOptions{Retries: 1}
	for i := range units {
		o.Units = append(o.Units, ModbusUnit{Name: fmt.Sprint("u", i+1), Address: byte(i + 1),
			Registers: []modbus.Register{word("x", 0)}})
	}
	return newBusBench(t, o)
}

// A bus with more to do than it can has no slack; yet no unit that answers is forgotten.
func TestAnOverloadedBusReadsAllItsUnits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := crowd(t, 20)
		b.change(func(s *slaves) { s.delay = 150 * time.Millisecond }) // a round takes 3 s
		b.start()
		pass(10 * time.Second)
		from := time.Now()
		pass(5 * time.Minute)
		for i, u := range b.dev.Status().Units {
			if w := b.worstPeriod(byte(i+1), from); u.State != UnitLive || w > 4*time.Second { // a round, and its period
				t.Errorf("%s is %s and was not polled for %v", u.Name, u.State, w)
			}
		}
		b.stop()
	})
}

func TestAUnitComesBackToAnOverloadedBus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := crowd(t, 8)
		b.start()
		pass(5 * time.Second)
		b.change(func(s *slaves) { s.delay = 170 * time.Millisecond }) // a round takes 1.4 s
		pass(time.Minute)
		b.change(func(s *slaves) { s.ignores = func(u byte, _ []byte) bool { return u == 3 } })
		pass(20 * time.Second)
		if s := b.dev.Status().Units[2]; s.State != UnitDead {
			t.Errorf("%+v", s)
		}
		b.change(func(s *slaves) { s.ignores = nil })
		pass(100 * time.Second)
		from := time.Now()
		pass(time.Minute)
		if w := b.worstPeriod(3, from); w > 2*time.Second {
			t.Errorf("not polled for %v", w)
		}
		b.stop()
	})
}

// Without slack all the dead ones together cost a timeout a minute.
func TestManyDeadUnitsOnATightBusCostATimeoutAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := crowd(t, 20)
		b.change(func(s *slaves) { s.ignores = func(u byte, _ []byte) bool { return u > 10 } })
		b.start()
		pass(20 * time.Second)
		b.change(func(s *slaves) { s.delay = 85 * time.Millisecond })
		pass(5 * time.Minute)
		from, tries := time.Now(), 0
		pass(20 * time.Minute)
		for u := byte(1); u <= 20; u++ {
			if u <= 10 {
				if w := b.worstPeriod(u, from); w > 1800*time.Millisecond { // it skips a turn that it is late for
					t.Errorf("unit %d was not polled for %v", u, w)
				}
				continue
			}
			mine := 0
			for _, q := range b.wasAsked(u) {
				if q.at.After(from) {
					mine++
				}
			}
			if tries += mine; mine == 0 {
				t.Errorf("unit %d was never tried", u)
			}
		}
		if tries < 15 || tries > 21 {
			t.Errorf("%d tries in 20 minutes", tries)
		}
		b.stop()
	})
}

// What a unit does not answer is tried in its own pauses too: the rest of it comes in its rhythm.
func TestABlockThatIsIgnoredDelaysNotTheOthersOfItsUnit(t *testing.T) {
	for _, others := range []int{2, 20} {
		synctest.Test(t, func(t *testing.T) {
			wide := word("b", 200)
			wide.Type = "uint32" // its answer is no other's
			o := ModbusOptions{Retries: 1,
				Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{word("a", 0), wide}}}}
			for i := range others {
				o.Units = append(o.Units, ModbusUnit{Name: fmt.Sprint("u", i), Address: byte(20 + i),
					Registers: []modbus.Register{word("x", 0)}})
			}
			b := newBusBench(t, o)
			b.change(func(s *slaves) { s.delay = 15 * time.Millisecond })
			b.start()
			pass(10 * time.Second)
			b.change(func(s *slaves) {
				s.ignores = func(u byte, pdu []byte) bool { return u == 7 && address(pdu) == 200 }
				s.wasAsked = nil
			})
			pass(10 * time.Minute)
			var last time.Time
			tries := 0
			for _, q := range b.wasAsked(7) {
				if address(q.pdu) == 200 {
					tries++
					continue
				}
				if d := q.at.Sub(last); !last.IsZero() && d > 1025*time.Millisecond {
					t.Errorf("%d others: a period of %v", others, d)
				}
				last = q.at
			}
			if good, bad, _ := b.readings("pump", "a"); good < 608 || bad > 0 || tries < 10 || tries > 25 {
				t.Errorf("%d others: %d values, %d bad, %d tries of what it ignores", others, good, bad, tries)
			}
			b.stop()
		})
	}
}
