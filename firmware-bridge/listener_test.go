package bridge

import (
	"bytes"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// replied is how a request ended, and when.
type replied struct {
	got string // frames, with | between
	err error
	at  time.Time
}

// ask queues a request.
func (b *bench) ask(r Request) <-chan replied {
	b.t.Helper()
	ended := make(chan replied, 1)
	if err := b.dev.Request(r, func(a Answer, err error) {
		ended <- replied{string(bytes.Join(a.Frames, []byte("|"))), err, time.Now()}
	}); err != nil {
		b.t.Fatal(err)
	}
	return ended
}

func TestAnAnswerEndsWithASilenceOfBytesNotOfFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		p := b.plug()
		b.start()
		for i, c := range []byte("first line\nsecond line\nthird\n") { // 1000 baud: a line takes longer than the silence
			p.Say(20*time.Millisecond+time.Duration(i)*10*time.Millisecond, string(c))
		}
		p.Say(time.Second, "later\n")
		if e := <-b.ask(Request{Payload: []byte("?"), Silence: 50 * time.Millisecond}); e.got != "first line|second line|third" ||
			e.err != nil {
			t.Errorf("%+v", e)
		}
		pass(2 * time.Second)
		b.stop()
	})
}

func TestADeviceThatIsNeverSilentIsNotHeldForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		p := b.plug()
		b.start()
		for i := range 20 {
			p.Say(time.Duration(i+1)*9*time.Second, "x\n")
		}
		began := time.Now()
		e := <-b.ask(Request{Payload: []byte("?"), Timeout: 10 * time.Second, Silence: 10 * time.Second})
		if e.got != "x|x|x|x|x|x" || e.err != nil || e.at.Sub(began) > time.Minute {
			t.Errorf("after %v: %+v", e.at.Sub(began), e)
		}
		pass(5 * time.Minute)
		b.stop()
	})
}

// What a device said last and did not end, such as a prompt, stands before its answer and does not hide it.
func TestAPromptIsNoReasonToMissTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		p := b.plug()
		b.start()
		p.In <- []byte("> ")
		pass(time.Hour)
		p.Say(10*time.Millisecond, "OK\n")
		if e := <-b.ask(Request{Payload: []byte("?")}); e.got != "> OK" || e.err != nil {
			t.Errorf("%+v", e)
		}
		b.stop()
	})
}

func TestALateAnswerIsNotThatOfTheNextRequest(t *testing.T) {
	for name, c := range map[string]struct {
		late   time.Duration // of the first answer, after its request
		second time.Duration // of the second request
		want   string
		goes   time.Duration // when the second goes out at the latest
	}{
		"while the next waits":  {150 * time.Millisecond, 0, "two", 160 * time.Millisecond},
		"before the next":       {150 * time.Millisecond, 180 * time.Millisecond, "two", 190 * time.Millisecond},
		"never":                 {0, 0, "two", 210 * time.Millisecond},
		"never, and much later": {0, time.Minute, "two", time.Minute + 10*time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, nil)
				p := b.plug()
				var out []time.Time
				p.OnWrite = func(q []byte, _ time.Time) (int, error) {
					if out = append(out, time.Now()); len(out) == 2 {
						p.Say(50*time.Millisecond, "two\n")
					}
					return len(q), nil
				}
				b.start()
				if c.late > 0 {
					p.Say(c.late, "one\n")
				}
				began := time.Now()
				first := b.ask(Request{Payload: []byte("1?"), Timeout: 100 * time.Millisecond})
				time.Sleep(c.second)
				second := b.ask(Request{Payload: []byte("2?"), Timeout: 100 * time.Millisecond,
					Expires: began.Add(2 * time.Minute)})
				if e := <-first; !errors.Is(e.err, ErrNoAnswer) {
					t.Errorf("first %+v", e)
				}
				if e := <-second; e.got != c.want || e.err != nil {
					t.Errorf("second %+v", e)
				}
				if len(out) != 2 || out[1].Sub(began) > c.goes {
					t.Errorf("went out %v", out[1].Sub(began))
				}
				b.stop()
			})
		})
	}
}

func TestARequestDoesNotOutliveItsExpiryWhileALateAnswerIsAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		p := b.plug()
		b.start()
		first := b.ask(Request{Payload: []byte("1?"), Timeout: time.Second})
		second := b.ask(Request{Payload: []byte("2?"), Expires: time.Now().Add(1500 * time.Millisecond)})
		<-first
		if e := <-second; !errors.Is(e.err, ErrExpired) || p.Written() != "1?\n" {
			t.Errorf("%+v, written %q", e, p.Written())
		}
		b.stop()
	})
}
