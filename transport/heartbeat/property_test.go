package heartbeat_test

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"pgregory.net/rapid"
)

// wire is what the network knows: it books every packet and checks what Beat promises about them.
type wire struct {
	b        *heartbeat.Beat
	o        heartbeat.Options
	now      time.Time
	alive    bool
	lastOut  time.Time
	question time.Time // what GiveUp is counted from; zero: nothing is unanswered
	pings    []time.Time
	data     bool // sent after the last ping
}

func newWire(t *rapid.T) *wire {
	o := heartbeat.Options{
		Interval:     time.Duration(rapid.IntRange(1_000, 900_000).Draw(t, "interval")) * time.Millisecond,
		DetectWithin: time.Duration(rapid.IntRange(500, 120_000).Draw(t, "detect")) * time.Millisecond,
	}
	return &wire{b: heartbeat.New(o), o: o, now: epoch}
}

func (w *wire) connect(*rapid.T) {
	w.b.Connected(w.now)
	w.alive, w.lastOut, w.question, w.pings, w.data = true, w.now, time.Time{}, nil, false
}

func (w *wire) send(t *rapid.T) {
	if !w.alive {
		t.Skip("no session")
	}
	w.b.Sent(w.now)
	w.lastOut, w.data = w.now, true
	if w.question.IsZero() {
		w.question = w.now
	}
}

func (w *wire) hear(t *rapid.T) {
	if !w.alive {
		t.Skip("no session")
	}
	w.b.Heard(w.now)
	w.data = false
	w.answer()
}

func (w *wire) pong(t *rapid.T) {
	if !w.alive || len(w.pings) == 0 {
		t.Skip("nothing asked")
	}
	w.b.PongHeard(w.now)
	w.pings = w.pings[1:]
	w.answer()
}

func (w *wire) answer() {
	w.question = time.Time{}
	if len(w.pings) > 0 || w.data {
		w.question = w.now
	}
}

// wait passes time, stepping at each deadline, and now and then in between, where nothing may happen.
// A wake in the past must bring an action.
func (w *wire) wait(t *rapid.T) {
	end := w.now.Add(time.Duration(rapid.IntRange(1, 200_000).Draw(t, "ms")) * time.Millisecond)
	for {
		wake := w.b.Wake()
		if wake.IsZero() != !w.alive {
			t.Fatalf("wake %v with a session: %v", wake, w.alive)
		}
		if wake.IsZero() || wake.After(end) {
			break
		}
		if wake.Before(w.now) { // a pong or a new deadline made it due at once: then step must find it so
			wake = w.now
		}
		if early := wake.Add(-time.Nanosecond); !early.Before(w.now) && w.b.Step(early) != heartbeat.None {
			t.Fatalf("something is due before wake %v", wake)
		}
		w.now = wake
		w.step(t)
	}
	w.now = end
}

func (w *wire) step(t *rapid.T) {
	late := w.b.Late(w.now)
	switch a := w.b.Step(w.now); a {
	case heartbeat.None:
		t.Fatalf("wake at %v brought no action", w.now)
	case heartbeat.Ping:
		if n := len(w.pings); n > 0 && !late && w.now.Sub(w.pings[n-1]) < w.o.Interval {
			t.Fatalf("ping at %v while the one of %v is open and not late", w.now, w.pings[n-1])
		}
		w.pings = append(w.pings, w.now)
		w.lastOut, w.data = w.now, false
		if w.question.IsZero() {
			w.question = w.now
		}
	case heartbeat.GiveUp:
		if w.question.IsZero() || w.now.Sub(w.question) != w.o.DetectWithin {
			t.Fatalf("gave up at %v, the question is of %v", w.now, w.question)
		}
		w.alive = false
	}
}

// check holds after every action: death is never overdue, and neither is the beat.
func (w *wire) check(t *rapid.T) {
	if !w.alive {
		return
	}
	if !w.question.IsZero() && w.now.Sub(w.question) > w.o.DetectWithin {
		t.Fatalf("at %v the question of %v is overdue", w.now, w.question)
	}
	if len(w.pings) == 0 && w.now.Sub(w.lastOut) > w.o.Interval && w.b.Wake().After(w.now) {
		t.Fatalf("at %v nothing went out since %v", w.now, w.lastOut)
	}
	if w.b.Late(w.now) && len(w.pings) == 0 {
		t.Fatalf("late at %v without a ping", w.now)
	}
}

func TestPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWire(t)
		t.Repeat(map[string]func(*rapid.T){
			"connect": w.connect, "send": w.send, "hear": w.hear, "pong": w.pong, "wait": w.wait, "": w.check,
		})
	})
}

// Whatever traffic there is, an owner that is told late (a slept machine, a stuck loop) gets one action and then sane
// deadlines.
func TestLateStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWire(t)
		w.connect(t)
		late := epoch.Add(time.Duration(rapid.Int64Range(int64(w.o.Interval), int64(1000*time.Hour)).Draw(t, "late")))
		if a := w.b.Step(late); a != heartbeat.Ping {
			t.Fatalf("step gave %v, want ping", a)
		}
		if wake := w.b.Wake(); !wake.After(late) {
			t.Fatalf("wake %v is not after %v", wake, late)
		}
	})
}
