package bridge

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// answersLate lets unit 7 answer after a lag of its own each time, in the order of the requests, as a machine does that
// takes one after the other.
func (b *busBench) answersLate(lag func() time.Duration) {
	var last time.Time
	b.change(func(s *slaves) {
		s.ignores = func(unit byte, pdu []byte) bool {
			if unit != 7 {
				return false
			}
			after := lag()
			if after < 0 {
				return true // lost
			}
			last = latest(last, time.Now().Add(after))
			answer := s.protocol.Append(nil, modbus.Query{Unit: 7, PDU: s.answer(s.words[7], pdu)})
			to := s.port
			time.AfterFunc(time.Until(last), func() { to.In <- answer })
			return true
		}
	})
}

// alike are registers that are read one by one, by requests whose answers look alike; each holds a value of its own.
func alike(t *testing.T, o ModbusOptions) *busBench {
	b := pumpAnd(t, true, o, word("r111", 0), word("r222", 200), word("r333", 400), every(word("r444", 600), 3*time.Second))
	b.change(func(s *slaves) {
		for i := range uint16(4) {
			s.words[7][200*i] = 111 * (i + 1)
		}
	})
	return b
}

// mixedUp counts values of alike that were published under the right name and under a wrong one.
func (b *busBench) mixedUp() (right, wrong int) {
	for _, v := range b.told("pump") {
		for _, r := range v.Readings {
			switch {
			case r.Bad != "":
			case r.Name == "r"+r.String():
				right++
			default:
				wrong++
			}
		}
	}
	return right, wrong
}

// However late the answers of a unit become, none is taken for that to another request; and when the lag
// ends, so does what it did.
func TestAUnitThatIsLateIsNeverMixedUp(t *testing.T) {
	for _, retries := range []int{0, 1, 3} {
		for ms := 0; ms <= 5000; ms += 70 {
			t.Run(fmt.Sprint(ms, " ms, retries ", retries), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					lateUnit(t, ModbusOptions{Retries: retries},
						func() time.Duration { return time.Duration(ms) * time.Millisecond })
				})
			})
		}
	}
}

func lateUnit(t *testing.T, o ModbusOptions, lag func() time.Duration) {
	b := alike(t, o)
	b.start()
	pass(5 * time.Second)
	b.answersLate(lag)
	pass(5 * time.Minute)
	if _, wrong := b.mixedUp(); wrong > 0 {
		t.Errorf("%d values of other registers", wrong)
	}
	b.change(func(s *slaves) { s.ignores = nil })
	pass(80 * time.Second) // the longest back-off, and a doubt
	before, _ := b.mixedUp()
	pass(10 * time.Second)
	if right, wrong := b.mixedUp(); right-before < 30 || wrong > 0 || b.dev.Status().Units[0].State != UnitLive {
		t.Errorf("afterwards %d values in 10 s, %d wrong, %+v", right-before, wrong, b.dev.Status().Units[0])
	}
	if w := b.worstPeriod(8, time.Now().Add(-6*time.Minute)); w > 2500*time.Millisecond { // four answers of 300 ms
		t.Errorf("another unit was not polled for %v", w)
	}
	b.stop()
}

func TestAUnitThatIsLateByMoreOrLessIsNeverMixedUp(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		least, most := r.IntN(5000), 0
		if most = least + r.IntN(300); seed%3 == 0 {
			least, most = 0, 5000
		}
		t.Run(fmt.Sprint("seed ", seed, ", ", least, " to ", most, " ms"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lateUnit(t, ModbusOptions{Retries: int(seed % 2)},
					func() time.Duration { return time.Duration(least+r.IntN(most-least+1)) * time.Millisecond })
			})
		})
	}
}

// One answer in a while is late or lost; that costs a value or two.
func TestALateAnswerInAWhileIsNotMixedUp(t *testing.T) {
	for _, ms := range []int{350, 620, 650, 700, 900, 1005, 1200, 2500, -1} {
		t.Run(fmt.Sprint(ms, " ms"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := alike(t, ModbusOptions{Retries: 1})
				b.start()
				n := 0
				b.answersLate(func() time.Duration {
					if n++; n%60 == 1 {
						return time.Duration(ms) * time.Millisecond
					}
					return 5 * time.Millisecond
				})
				pass(5 * time.Minute)
				if right, wrong := b.mixedUp(); wrong > 0 || right < 700 {
					t.Errorf("%d right, %d wrong", right, wrong)
				}
				b.stop()
			})
		})
	}
}

// A unit with one read is right however late it is, even if each answer is that to the poll before; what a
// command reads of it is too.
func TestWhatACommandReadsOfALateUnitIsItsOwn(t *testing.T) {
	for ms := 0; ms <= 3000; ms += 20 {
		t.Run(fmt.Sprint(ms, " ms"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := pumpAnd(t, false, ModbusOptions{Retries: 1}, word("r111", 0))
				b.change(func(s *slaves) { s.words[7][0], s.words[7][200], s.words[7][201] = 111, 222, 333 })
				b.start()
				pass(5 * time.Second)
				b.answersLate(func() time.Duration { return time.Duration(ms) * time.Millisecond })
				read := 0
				ask := func(at byte, want string) {
					a, err := b.request(Request{Unit: "pump", Payload: []byte{3, 0, at, 0, 1}})
					if err == nil && fmt.Sprintf("%x", a.Frames[0]) != want {
						t.Errorf("%d reads %x", at, a.Frames[0])
					}
					if err == nil {
						read++
					}
				}
				for i := range 40 {
					pass(time.Duration(1500+83*i) * time.Millisecond)
					ask(200, "030200de")
					ask(201, "0302014d")
				}
				if right, wrong := b.mixedUp(); wrong > 0 || ms < 300 && (right < 100 || read < 80) {
					t.Errorf("%d right, %d wrong, %d read", right, wrong, read)
				}
				b.stop()
			})
		})
	}
}
