package bridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

func TestABusTellsWhatItsUnitsSay(t *testing.T) {
	for _, p := range []modbus.Protocol{modbus.RTU, modbus.ASCII, modbus.TCP} {
		t.Run(string(p), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				voltage, gap := word("voltage", 10), word("counter", 13)
				voltage.Scale, voltage.Unit = 0.1, "V"
				b := newBusBench(t, ModbusOptions{Protocol: p, Gap: 4, Units: []ModbusUnit{
					{Name: "pump", Address: 7, Registers: []modbus.Register{voltage, gap}}}})
				b.change(func(s *slaves) { s.words[7][10], s.words[7][13] = 2304, 5 })
				b.start()
				pass(10500 * time.Millisecond)
				got := b.told("pump")
				if len(got) != 11 {
					t.Fatalf("%d records in 10.5 s", len(got))
				}
				if s := fmt.Sprint(got[3].Readings); s != "[230.4 5]" || got[3].Readings[0].Unit != "V" {
					t.Errorf("%s", s)
				}
				if n := len(b.wasAsked(7)); n != 11 {
					t.Errorf("%d requests for 11 polls: the registers were not read together", n)
				}
				b.stop()
			})
		})
	}
}

func TestNothingIsToldBeforeTheFirstGoodReadAndTimeoutsAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusBench(t, ModbusOptions{Retries: 1,
			Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{word("x", 0)}}}})
		b.change(func(s *slaves) { delete(s.words, 7) })
		b.start()
		pass(20 * time.Second)
		if got := b.told("pump"); len(got) != 0 {
			t.Fatalf("%v before it ever answered", got)
		}
		if s := b.dev.Status().Units[0]; s.State != UnitDead || s.Why != "timeout" || s.Timeouts < 4 {
			t.Errorf("%+v", s)
		}
		b.change(func(s *slaves) { s.words[7] = map[uint16]uint16{0: 9} })
		pass(40 * time.Second)
		n := len(b.told("pump"))
		if n < 10 {
			t.Errorf("%d records after it came back", n)
		}
		b.change(func(s *slaves) { delete(s.words, 7) })
		pass(5 * time.Second)
		got := b.told("pump")
		if last := got[len(got)-1]; last.Readings[0].Bad != "timeout" || last.Readings[0].Value != (modbus.Value{}) {
			t.Errorf("%+v", last)
		}
		b.stop()
	})
}

func TestADeadUnitDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ModbusOptions{Retries: 1}
		for i := range 20 {
			o.Units = append(o.Units, ModbusUnit{Name: fmt.Sprint("u", i), Address: byte(i + 1),
				Registers: []modbus.Register{word("x", 0)}})
		}
		b := newBusBench(t, o)
		b.change(func(s *slaves) { delete(s.words, 3); delete(s.words, 9); s.delay = 20 * time.Millisecond })
		b.start()
		pass(10 * time.Second)
		b.change(func(s *slaves) { s.wasAsked = nil })
		pass(2 * time.Minute)
		for i := range 20 {
			at := b.wasAsked(byte(i + 1))
			if i == 2 || i == 8 {
				if len(at) == 0 {
					t.Errorf("dead unit %d was never tried again", i)
				}
				continue
			}
			for k := 1; k < len(at); k++ {
				if d := at[k].at.Sub(at[k-1].at); d > 1020*time.Millisecond {
					t.Fatalf("unit %d: a period of %v", i, d)
				}
			}
		}
		b.stop()
	})
}

func TestWritesAreReadBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		setpoint, level, flags := word("setpoint", 1), word("level", 2), word("flags", 5)
		setpoint.Scale = 0.1
		flags.Type, flags.Bit, flags.Count = "bits", 4, 3
		limit := word("limit", 8)
		limit.Writable = false
		b := newBusBench(t, ModbusOptions{
			Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{setpoint, level, flags, limit}}}})
		b.change(func(s *slaves) { s.words[7][5] = 0xffff; s.stuck = map[uint16]bool{2: true} })
		b.start()
		pass(time.Second)
		a, err := b.set("pump", map[string]string{"setpoint": "21.5", "flags": "2"})
		if err != nil || fmt.Sprint(a.Values) != "[21.5 2]" {
			t.Errorf("%v, %v", a.Values, err)
		}
		b.change(func(s *slaves) {
			if s.words[7][1] != 215 || s.words[7][5] != 0xffaf {
				t.Errorf("%v", s.words[7])
			}
		})
		if a, err = b.set("pump", map[string]string{"level": "4"}); !errors.Is(err, ErrReadBack) ||
			fmt.Sprint(a.Values) != "[0]" {
			t.Errorf("%v, %v", a.Values, err)
		}
		for _, v := range []map[string]string{{"limit": "1"}, {"level": "99999"}, {"nobody": "1"}, {},
			{"setpoint": "1", "level": "x"}} {
			before := len(b.wasAsked(7))
			if _, err := b.set("pump", v); !errors.Is(err, modbus.ErrValue) && !errors.Is(err, ErrNoUnit) {
				t.Errorf("%v: %v", v, err)
			}
			if len(b.wasAsked(7)) != before {
				t.Errorf("%v: something was asked", v)
			}
		}
		if err := b.dev.Write([]byte("x"), time.Time{}, func(error) {}); !errors.Is(err, ErrIsBus) {
			t.Errorf("%v", err)
		}
		b.stop()
	})
}

func TestAWriteWithoutAnAnswerIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusBench(t, ModbusOptions{Retries: 3,
			Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{word("x", 1)}}}})
		b.start()
		pass(1500 * time.Millisecond)
		b.change(func(s *slaves) { s.wasAsked, s.mute = nil, 1 })
		a, err := b.set("pump", map[string]string{"x": "3"})
		if !errors.Is(err, ErrNoAnswer) || fmt.Sprint(a.Values) != "[0]" {
			t.Errorf("%v, %v", a.Values, err)
		}
		writes := 0
		for _, q := range b.wasAsked(7) {
			if q.pdu[0] == 6 {
				writes++
			}
		}
		if writes != 1 {
			t.Errorf("written %d times", writes)
		}
		b.stop()
	})
}

func TestRequestsGetTheNextSlotBetweenPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := ModbusOptions{MaxBlock: 2}
		for i := range 10 {
			u := ModbusUnit{Name: fmt.Sprint("u", i), Address: byte(i + 1)}
			for r := range 8 {
				u.Registers = append(u.Registers, word(fmt.Sprint("r", r), uint16(2*r)))
			}
			o.Units = append(o.Units, u)
		}
		b := newBusBench(t, o)
		b.change(func(s *slaves) { s.delay = 30 * time.Millisecond }) // more polls than the bus can carry
		b.start()
		for i := range 20 {
			pass(time.Duration(137+i) * time.Millisecond)
			began := time.Now()
			a, err := b.request(Request{Unit: "u3", Payload: []byte{3, 0, 0, 0, 1}})
			if err != nil || !bytes.Equal(a.Frames[0], []byte{3, 2, 0, 0}) {
				t.Fatalf("%x, %v", a.Frames, err)
			}
			if d := time.Since(began); d > 80*time.Millisecond {
				t.Errorf("answered after %v: one request before it and its own take 2 × 32 ms", d)
			}
		}
		if a, err := b.request(Request{Payload: []byte{4, 0x2b, 14, 1, 0}}); err != nil ||
			!bytes.Equal(a.Frames[0], []byte{4, 0xab, 1}) {
			t.Errorf("%x, %v", a.Frames, err)
		}
		for _, r := range []Request{{Unit: "nobody", Payload: []byte{1}}, {}, {Payload: []byte{0, 6, 0, 0, 0, 0}},
			{Payload: make([]byte, 300)}} {
			if _, err := b.request(r); err == nil {
				t.Errorf("%+v was asked", r)
			}
		}
		if w := b.dev.Status().IdleWait; w > 10*time.Millisecond {
			t.Errorf("a command waited %v on an idle bus", w)
		}
		b.stop()
	})
}

func TestARegisterThatIsNotThereCostsOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := ModbusUnit{Name: "pump", Address: 7}
		for i := range 10 {
			u.Registers = append(u.Registers, word(fmt.Sprint("r", i), uint16(i)))
		}
		b := newBusBench(t, ModbusOptions{Units: []ModbusUnit{u}})
		b.change(func(s *slaves) { s.missed = map[uint16]bool{6: true} })
		b.start()
		pass(3500 * time.Millisecond)
		got := b.told("pump")
		last := got[len(got)-1]
		bad := 0
		for _, r := range last.Readings {
			if r.Bad != "" {
				bad++
				if r.Name != "r6" || r.Bad != "ILLEGAL DATA ADDRESS" {
					t.Errorf("%+v", r)
				}
			}
		}
		if len(last.Readings) != 10 || bad != 1 {
			t.Errorf("%d readings, %d bad", len(last.Readings), bad)
		}
		b.stop()
	})
}

func TestTheBusGoesOnAfterItsPortWasLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusBench(t,
			ModbusOptions{Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{word("x", 0)}}}})
		b.start()
		pass(2500 * time.Millisecond)
		b.unplug()
		if _, err := b.request(Request{Unit: "pump", Payload: []byte{3, 0, 0, 0, 1}}); !errors.Is(err, ErrNotOpen) {
			t.Errorf("%v", err)
		}
		pass(5 * time.Second)
		before := len(b.told("pump"))
		b.connect()
		pass(5 * time.Second)
		if n := len(b.told("pump")) - before; n < 4 {
			t.Errorf("%d records in 5 s after it came back", n)
		}
		b.stop()
	})
}

func TestNoiseOnTheBusIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusBench(t,
			ModbusOptions{Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{word("x", 0)}}}})
		b.start()
		for range 30 {
			pass(333 * time.Millisecond)
			b.slaves.mu.Lock()
			port := b.slaves.port
			b.slaves.mu.Unlock()
			port.In <- []byte{7, 3, 0xff, 0, 7}
		}
		pass(time.Second)
		if s := b.balance(); s.Bad != 150 || len(b.told("pump")) < 10 {
			t.Errorf("%+v, %d records", s, len(b.told("pump")))
		}
		b.stop()
	})
}

func TestRequestsToADeviceWithFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		p := b.plug()
		p.OnDrain = func(time.Time) error { time.Sleep(5 * time.Millisecond); return nil }
		answer := func(after time.Duration, s string) { time.AfterFunc(after, func() { p.In <- []byte(s) }) }
		b.start()
		ask := func(r Request) (string, error) {
			type end struct {
				a   Answer
				err error
			}
			ended := make(chan end, 1)
			if err := b.dev.Request(r, func(a Answer, err error) { ended <- end{a, err} }); err != nil {
				return "", err
			}
			e := <-ended
			return string(bytes.Join(e.a.Frames, []byte("|"))), e.err
		}
		p.In <- []byte("beg") // a frame that has begun before is no answer
		synctest.Wait()
		time.Sleep(time.Millisecond)
		answer(10*time.Millisecond, "un\nanswer\nmore\n")
		if got, err := ask(Request{Payload: []byte("?")}); got != "answer" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		answer(100*time.Millisecond, "a\nb\n")
		answer(140*time.Millisecond, "c\n")
		answer(250*time.Millisecond, "late\n")
		if got, err := ask(Request{Payload: []byte("?"), Silence: 50 * time.Millisecond}); got != "a|b|c" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		pass(time.Second)
		if got, err := ask(Request{Payload: []byte("?"), Timeout: 30 * time.Millisecond}); got != "" ||
			!errors.Is(err, ErrNoAnswer) {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := ask(Request{Payload: []byte("?"), Expires: time.Now().Add(-time.Second)}); got != "" ||
			!errors.Is(err, ErrExpired) {
			t.Errorf("%q, %v", got, err)
		}
		b.wantFrames("begun", "answer", "more", "a", "b", "c", "late")
		time.AfterFunc(50*time.Millisecond, b.unplugLater)
		if got, err := ask(Request{Payload: []byte("?")}); got != "" || !errors.Is(err, ErrLost) {
			t.Errorf("%q, %v", got, err)
		}
		b.stop()
	})
}

func (b *bench) unplugLater() {
	b.mu.Lock()
	p := b.port
	b.port = nil
	b.mu.Unlock()
	p.HangUp()
}

func TestABusThatEndsAnswersWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBusBench(t, ModbusOptions{Timeout: time.Second,
			Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{word("x", 0)}}}})
		b.change(func(s *slaves) { delete(s.words, 7) })
		b.start()
		ended := make(chan error, 2)
		for range 2 {
			if err := b.dev.Request(Request{Unit: "pump", Payload: []byte{3, 0, 0, 0, 1}},
				func(_ Answer, err error) { ended <- err }); err != nil {
				t.Fatal(err)
			}
		}
		pass(2100 * time.Millisecond) // the first is on the line, after the rest that the unit owes to a poll
		b.cancel()
		if err := <-b.ended; err != context.Canceled {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, ErrLost) {
			t.Errorf("the one that ran: %v", err)
		}
		if err := <-ended; !errors.Is(err, ErrNotOpen) {
			t.Errorf("the one that waited: %v", err)
		}
	})
}

// A unit that answers after its timeout must not have that taken for the answer to the next request.
func TestALateAnswerIsNotTakenForTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := word("a", 0), word("c", 100) // two reads of one register each
		b := newBusBench(t,
			ModbusOptions{Retries: 1, Units: []ModbusUnit{{Name: "pump", Address: 7, Registers: []modbus.Register{a, c}}}})
		b.change(func(s *slaves) { s.words[7][0], s.words[7][100] = 1, 2 })
		b.start()
		for i := range 40 {
			pass(time.Duration(1000+10*i) * time.Millisecond)
			b.change(func(s *slaves) { s.delay = 450 * time.Millisecond }) // the timeout is 300 ms
			pass(500 * time.Millisecond)
			b.change(func(s *slaves) { s.delay = 5 * time.Millisecond })
		}
		for _, v := range b.told("pump") {
			for _, r := range v.Readings {
				if want := map[string]string{"a": "1", "c": "2"}[r.Name]; r.Bad == "" && r.Value.String() != want {
					t.Fatalf("%s reads %s", r.Name, r.Value)
				}
			}
		}
		if s := b.dev.Status(); s.Units[0].Timeouts < 10 || s.Bad == 0 || len(b.told("pump")) < 20 {
			t.Errorf("%+v, %d records", s, len(b.told("pump")))
		}
		b.stop()
	})
}
