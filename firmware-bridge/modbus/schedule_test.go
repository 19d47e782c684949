package modbus

import (
	"fmt"
	"testing"
	"time"
)

// bus plays a bus in time of its own: an answer takes cost, silence the job's timeout.
type bus struct {
	s     *Schedule
	now   time.Time
	cost  time.Duration
	dead  map[int]bool
	polls map[int][]time.Time
	tried map[int][]time.Time // dead ones
}

func newBus(units int, o ScheduleOptions, cost time.Duration) *bus {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var periods [][]time.Duration
	for range units {
		periods = append(periods, []time.Duration{time.Second})
	}
	return &bus{s: NewSchedule(o, start, periods), now: start, cost: cost, dead: map[int]bool{}, polls: map[int][]time.Time{},
		tried: map[int][]time.Time{}}
}

func (b *bus) run(d time.Duration) {
	for end := b.now.Add(d); b.now.Before(end); {
		j, ok := b.s.Next(b.now)
		if !ok {
			b.now = b.s.Wake(b.now)
			continue
		}
		if b.dead[j.Unit] {
			b.tried[j.Unit] = append(b.tried[j.Unit], b.now)
			b.silent(j)
			continue
		}
		b.polls[j.Unit] = append(b.polls[j.Unit], b.now)
		b.now = b.now.Add(b.cost)
		b.s.Heard(j.Unit, b.now)
		b.s.Answered(j, false, b.now)
	}
}

// silent plays a timeout of a unit with one block.
func (b *bus) silent(j Job) Verdict {
	began := b.now
	b.now = b.now.Add(b.s.o.Timeout)
	return b.s.Unanswered(j, Unanswered{Times: 1, Since: began, Alone: true}, b.now)
}

// next is the poll that comes next, whenever.
func (b *bus) next() Job {
	for {
		if j, ok := b.s.Next(b.now); ok {
			return j
		}
		b.now = b.s.Wake(b.now)
	}
}

func worst(at []time.Time) (w time.Duration) {
	for i := 1; i < len(at); i++ {
		w = max(w, at[i].Sub(at[i-1]))
	}
	return w
}

func options() ScheduleOptions {
	return ScheduleOptions{Timeout: 300 * time.Millisecond, Retries: 1, BackoffMin: 500 * time.Millisecond,
		BackoffMax: time.Minute, Margin: 10 * time.Millisecond}
}

func TestDeadUnitsNeverDelayTheOthers(t *testing.T) {
	b := newBus(32, options(), 18*time.Millisecond) // 30 × 18 ms: over half of each second
	b.dead[3], b.dead[20] = true, true
	b.run(5 * time.Second) // the start: who is there?
	b.polls = map[int][]time.Time{}
	b.run(10 * time.Minute)
	for u := range 32 {
		if b.dead[u] {
			if n := len(b.tried[u]); n < 10 || n > 20 {
				t.Errorf("dead unit %d was tried %d times in ten minutes", u, n)
			}
			continue
		}
		if w := worst(b.polls[u]); len(b.polls[u]) < 599 || w > 1020*time.Millisecond {
			t.Errorf("unit %d: %d polls, the worst period %v", u, len(b.polls[u]), w)
		}
	}
}

func TestADeadUnitIsBackWithinItsBackoff(t *testing.T) {
	b := newBus(4, options(), 10*time.Millisecond)
	b.dead[2] = true
	b.run(10 * time.Minute)
	delete(b.dead, 2)
	b.polls = map[int][]time.Time{}
	back := b.now
	b.run(2 * time.Minute)
	if p := b.polls[2]; len(p) < 50 || p[0].Sub(back) > 61*time.Second || worst(p) > 1100*time.Millisecond {
		t.Errorf("back after %v, worst period %v", p[0].Sub(back), worst(p))
	}
}

func TestAUnitThatDiesCostsTheOthersOneTimeoutOnce(t *testing.T) {
	b := newBus(30, options(), 18*time.Millisecond)
	b.run(20 * time.Second)
	b.polls = map[int][]time.Time{}
	b.dead[5] = true
	b.run(time.Minute)
	late := 0
	for u := range 30 {
		if w := worst(b.polls[u]); u != 5 && w > 1320*time.Millisecond {
			t.Errorf("unit %d: worst period %v", u, w)
		}
		for i := 1; i < len(b.polls[u]); i++ {
			if b.polls[u][i].Sub(b.polls[u][i-1]) > 1050*time.Millisecond {
				late++
			}
		}
	}
	if late > 30 {
		t.Errorf("%d late polls", late)
	}
	if b.s.State(5) != Dead {
		t.Error("it does not count as dead")
	}
}

func TestWithoutSlackADeadUnitIsTriedOnceAMinute(t *testing.T) {
	b := newBus(10, options(), 105*time.Millisecond) // more than the bus can do
	b.run(20 * time.Second)
	b.dead[4] = true
	b.run(time.Minute)
	b.tried = map[int][]time.Time{}
	b.run(10 * time.Minute)
	if n := len(b.tried[4]); n < 5 || n > 12 {
		t.Errorf("tried %d times", n)
	}
	if w := worst(b.polls[3]); w > 2*time.Second {
		t.Errorf("worst period %v", w)
	}
}

// Soon: in a pause of its unit, or when that is due again.
func TestOneLostAnswerIsAskedForAgainSoon(t *testing.T) {
	for every, soon := range map[time.Duration]time.Duration{time.Second: 710 * time.Millisecond,
		10 * time.Second: 310 * time.Millisecond} {
		b := newBus(2, options(), 10*time.Millisecond)
		b.s = NewSchedule(options(), b.now, [][]time.Duration{{every}, {every}})
		b.run(30*time.Second - 1)
		b.now = b.now.Add(every)
		j := b.next()
		if b.silent(j) != TryAgain {
			t.Error("the first silence is the end of it")
		}
		b.polls = map[int][]time.Time{}
		lost := b.now
		b.run(every)
		if p := b.polls[j.Unit]; len(p) == 0 || p[0].Sub(lost) < 300*time.Millisecond || p[0].Sub(lost) > soon ||
			b.s.State(j.Unit) != Live {
			t.Errorf("%v: lost at %v, %v", every, lost, p)
		}
	}
}

func TestAUnitThatRestsIsNotAskedAndDelaysNobody(t *testing.T) {
	b := newBus(3, options(), 10*time.Millisecond)
	b.run(3 * time.Second)
	from := b.now
	b.s.Cooldown(1, from.Add(5*time.Second))
	b.s.Cooldown(1, from.Add(time.Second)) // the longer one holds
	b.polls = map[int][]time.Time{}
	b.run(10 * time.Second)
	if at := b.polls[1]; len(at) < 5 || at[0].Sub(from) < 5*time.Second || at[0].Sub(from) > 5050*time.Millisecond {
		t.Errorf("asked %v after it had to rest", at[0].Sub(from))
	}
	if w := worst(b.polls[0]); w > 1020*time.Millisecond {
		t.Errorf("another had a period of %v", w)
	}
}

func TestABlockThatIsNeverAnsweredGoesApart(t *testing.T) {
	b := newBus(1, options(), 10*time.Millisecond)
	j := b.next()
	b.s.Heard(0, b.now.Add(5*time.Millisecond)) // its other block
	q := Unanswered{Times: 1, Since: b.now}
	b.now = b.now.Add(300 * time.Millisecond)
	if v := b.s.Unanswered(j, q, b.now); v != TryAgain {
		t.Fatalf("verdict %v", v)
	}
	if j = b.next(); j.Part == Apart {
		t.Fatalf("%+v", j)
	}
	q.Times = 2
	b.now = b.now.Add(300 * time.Millisecond)
	if v := b.s.Unanswered(j, q, b.now); v != GoesApart || b.s.State(0) != Live {
		t.Fatalf("verdict %v", v)
	}
	due, tried := 0, 0
	for end := b.now.Add(10 * time.Minute); b.now.Before(end); {
		if j = b.next(); j.Part == Apart {
			tried++
			b.silent(j)
			continue
		}
		due++
		b.now = b.now.Add(10 * time.Millisecond)
		b.s.Heard(0, b.now)
		b.s.Answered(j, false, b.now)
	}
	if due < 590 || tried < 10 || tried > 20 {
		t.Errorf("%d polls, %d tries of what is apart, in ten minutes", due, tried)
	}
}

func TestAnotherGroupIsAskedBeforeAUnitIsDead(t *testing.T) {
	for _, alive := range []bool{true, false} {
		o := options()
		o.Retries = 0
		start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		b := &bus{s: NewSchedule(o, start, [][]time.Duration{{time.Second, time.Hour}}), now: start}
		b.s.Heard(0, start)
		j := Job{Unit: 0, Group: 1}
		b.now = b.now.Add(time.Second)
		q := Unanswered{Times: 1, Since: b.now}
		b.now = b.now.Add(o.Timeout)
		if v := b.s.Unanswered(j, q, b.now); v != TryAgain {
			t.Fatalf("verdict %v", v)
		}
		if j = b.next(); j.Group != 0 {
			t.Fatalf("%+v", j)
		}
		if !alive {
			q.Since = b.now
			if v := b.s.Unanswered(j, q, b.now.Add(o.Timeout)); v != UnitDead || b.s.State(0) != Dead {
				t.Fatalf("verdict %v", v)
			}
			continue
		}
		for asked := b.now; j.Group != 1; j = b.next() {
			if b.now.Sub(asked) > 2*time.Second {
				t.Fatalf("%+v", j)
			}
			b.now = b.now.Add(time.Millisecond)
			b.s.Heard(0, b.now)
			b.s.Answered(j, false, b.now)
		}
		q.Times = 2
		if v := b.s.Unanswered(j, q, b.now.Add(o.Timeout)); v != GoesApart {
			t.Fatalf("verdict %v", v)
		}
	}
}

// A unit that answers within the timeout is found, however little slack there is.
func TestNoTryIsShorterThanTheTimeout(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := NewSchedule(options(), start, [][]time.Duration{{250 * time.Millisecond}, {time.Second}})
	s.Heard(0, start)
	now, tries := start, 0
	for now.Before(start.Add(10 * time.Minute)) {
		j, ok := s.Next(now)
		switch {
		case !ok:
			now = s.Wake(now)
		case j.Unit == 0:
			now = now.Add(5 * time.Millisecond)
			s.Heard(0, now)
			s.Answered(j, false, now)
		default:
			tries++
			now = now.Add(300 * time.Millisecond)
			s.Unanswered(j, Unanswered{Times: 1, Since: now, Alone: true}, now)
		}
	}
	if tries < 4 || tries > 10 {
		t.Errorf("%d tries in ten minutes without slack", tries)
	}
}

func TestReadingForNothingSparesWhatIsNeverRead(t *testing.T) {
	regs := []Register{{Kind: Holding, Address: 0, Type: "uint16"}, {Kind: Holding, Address: 1, Type: "uint16", Writable: true,
		WriteOnly: true}, {Kind: Holding, Address: 2, Type: "uint16"}, {Kind: Holding, Address: 5, Type: "uint16"}}
	blocks := Plan(regs, []int{0, 2, 3}, MaxWords, 8)
	if len(blocks) != 2 || blocks[0].Count != 1 || blocks[1].Address != 2 || blocks[1].Count != 4 {
		t.Errorf("%+v", blocks)
	}
	regs[1].Type = "bit"
	if regs[1].Check() == nil {
		t.Error("a bit of a register that is never read would be read before it is written")
	}
}

func ExampleReport() {
	regs := []Register{{Name: "voltage", Deadband: 0.5}, {Name: "state"}}
	r := NewReport(regs, true, time.Minute)
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	show := func(s int, readings ...Reading) {
		for _, x := range r.Select(readings, at.Add(time.Duration(s)*time.Second)) {
			said := x.Value.String()
			if x.Bad != "" {
				said = x.Bad
			}
			fmt.Println(s, "s:", regs[x.Register].Name, said)
		}
	}
	show(0, Reading{Register: 0, Bad: "timeout"}, Reading{Register: 1, Bad: "timeout"}) // never before the first good one
	show(1, Reading{Register: 0, Value: floatValue(230.4)}, Reading{Register: 1, Value: uintValue(1)})
	show(2, Reading{Register: 0, Value: floatValue(230.8)}, Reading{Register: 1, Value: uintValue(2)})
	show(3, Reading{Register: 0, Value: floatValue(230.9)}, Reading{Register: 1, Value: uintValue(2)})
	show(4, Reading{Register: 0, Bad: "timeout"}, Reading{Register: 1, Bad: "timeout"})
	show(5, Reading{Register: 0, Bad: "timeout"}, Reading{Register: 1, Value: uintValue(2)})
	show(64, Reading{Register: 0, Bad: "timeout"}, Reading{Register: 1, Value: uintValue(2)})
	// Output:
	// 1 s: voltage 230.4
	// 1 s: state 1
	// 2 s: state 2
	// 3 s: voltage 230.9
	// 4 s: voltage timeout
	// 4 s: state timeout
	// 5 s: state 2
	// 64 s: voltage timeout
}
