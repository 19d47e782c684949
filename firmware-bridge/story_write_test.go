package bridge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
)

// answers collects what done hears, by payload, and finds an answer given twice.
type answers struct {
	t    *testing.T
	mu   sync.Mutex
	got  map[string]error
	when map[string]time.Time
}

func newAnswers(t *testing.T) *answers {
	return &answers{t: t, got: map[string]error{}, when: map[string]time.Time{}}
}

// write queues a payload.
func (a *answers) write(d *Device, payload string) error {
	return d.Write([]byte(payload), time.Time{}, func(err error) { a.hear(payload, err) })
}

// hear notes an answer.
func (a *answers) hear(payload string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, twice := a.got[payload]; twice {
		a.t.Errorf("%q answered twice", payload)
	}
	a.got[payload], a.when[payload] = err, time.Now()
}

func (a *answers) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.got)
}

func (a *answers) want(payload string, err error) {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	got, ok := a.got[payload]
	if !ok || !errors.Is(got, err) || (err == nil) != (got == nil) {
		a.t.Errorf("%q answered %v (%v), want %v", payload, got, ok, err)
	}
}

func TestWritesGoOutInOrderAndAreDoneWhenDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := newBench(t, nil), newAnswers(t)
		p := b.plug()
		p.OnWrite = func(d []byte, _ time.Time) (int, error) { return min(2, len(d)), nil } // short, without an error
		p.OnDrain = func(time.Time) error { time.Sleep(time.Second); return nil }
		b.start()
		t0 := time.Now()
		for _, s := range []string{"alpha", "beta\n", "gamma"} {
			if err := a.write(b.dev, s); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if a.count() > 0 {
			t.Error("done before the drain")
		}
		pass(4 * time.Second)
		for i, s := range []string{"alpha", "beta\n", "gamma"} {
			a.want(s, nil)
			if d := a.when[s].Sub(t0); d != time.Duration(i+1)*time.Second {
				t.Errorf("%q done after %v", s, d)
			}
		}
		if got := p.Written(); got != "alpha\nbeta\ngamma\n" {
			t.Errorf("wrote %q", got)
		}
		if s := b.dev.Status(); s.Written != 17 {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

func TestAFullQueueIsBusyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := newBench(t, func(o *Options) { o.Queue = 3 }), newAnswers(t)
		p := b.plug()
		p.OnWrite = func(d []byte, until time.Time) (int, error) { return 0, p.Wait(until) }
		b.start()
		if err := a.write(b.dev, "at work"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for i := range 3 {
			if err := a.write(b.dev, fmt.Sprint("waits", i)); err != nil {
				t.Fatal(err)
			}
		}
		before := time.Now()
		if err := a.write(b.dev, "too many"); !errors.Is(err, ErrBusy) {
			t.Errorf("error %v", err)
		}
		if time.Since(before) > 0 {
			t.Error("busy took time")
		}
		b.stop()
		a.want("at work", ErrLost)
		a.want("waits0", ErrNotOpen)
		a.want("waits2", ErrNotOpen)
		if a.count() != 4 {
			t.Errorf("answers %v", a.got)
		}
	})
}

// A command that waited behind a slow one must not reach the device after its time.
func TestWhatExpiresInTheQueueIsNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := newBench(t, func(*Options) {}), newAnswers(t)
		p := b.plug()
		p.OnDrain = func(time.Time) error { time.Sleep(time.Second); return nil }
		b.start()
		if err := a.write(b.dev, "slow"); err != nil {
			t.Fatal(err)
		}
		for payload, left := range map[string]time.Duration{"stale": 900 * time.Millisecond, "good": time.Minute} {
			expires := time.Now().Add(left)
			if err := b.dev.Write([]byte(payload), expires, func(err error) { a.hear(payload, err) }); err != nil {
				t.Fatal(err)
			}
		}
		pass(4 * time.Second)
		a.want("slow", nil)
		a.want("stale", ErrExpired)
		a.want("good", nil)
		if got := p.Written(); got != "slow\ngood\n" {
			t.Errorf("wrote %q", got)
		}
		b.stop()
	})
}

func TestAStuckDeviceFailsTheWriteAndKeepsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := newBench(t, func(o *Options) { o.WriteTimeout = 2 * time.Second; o.Baud = 1200 }), newAnswers(t)
		p := b.plug()
		stuck := true
		p.OnWrite = func(d []byte, until time.Time) (int, error) {
			if stuck {
				return 1, p.Wait(until)
			}
			return len(d), nil
		}
		b.start()
		t0 := time.Now()
		if err := a.write(b.dev, "stuck"); err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		p.In <- []byte("alive\n")
		pass(2 * time.Second)
		b.wantFrames("alive")
		a.want("stuck", ErrStuck)
		// two seconds and twice the 6 characters of 8.33 ms
		if d := a.when["stuck"].Sub(t0); d < 2*time.Second || d > 2200*time.Millisecond {
			t.Errorf("gave up after %v", d)
		}
		if p.Discarded() != 1 {
			t.Error("the rest of the write may still go out")
		}
		stuck = false
		if err := a.write(b.dev, "free"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.want("free", nil)
		if got := b.states(); !slices.Equal(got, []string{Opened}) {
			t.Errorf("events %v", got)
		}
		b.stop()
	})
}

func TestAStuckDrainFailsTheWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := newBench(t, nil), newAnswers(t)
		p := b.plug()
		p.OnDrain = p.Wait
		b.start()
		if err := a.write(b.dev, "x"); err != nil {
			t.Fatal(err)
		}
		pass(6 * time.Second)
		a.want("x", ErrStuck)
		b.stop()
	})
}

func TestAPortLostWhileWritingLeavesNothingUnanswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := newBench(t, nil), newAnswers(t)
		p := b.plug()
		p.OnWrite = func(d []byte, until time.Time) (int, error) { return 1, p.Wait(until) }
		b.start()
		for _, s := range []string{"at work", "waits"} {
			if err := a.write(b.dev, s); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		b.unplug()
		a.want("at work", ErrLost)
		a.want("waits", ErrNotOpen)
		if err := a.write(b.dev, "absent"); !errors.Is(err, ErrNotOpen) || !strings.Contains(err.Error(), "meter") {
			t.Errorf("error %v", err)
		}
		p = b.plug()
		pass(time.Second)
		synctest.Wait()
		if err := a.write(b.dev, "back"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.want("back", nil)
		if got := p.Written(); got != "back\n" {
			t.Errorf("a stale write went out: %q", got)
		}
		b.stop()
	})
}

func TestAFailedWriteOpensThePortAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := newBench(t, nil), newAnswers(t)
		p := b.plug()
		p.OnWrite = func([]byte, time.Time) (int, error) { return 0, nil } // no progress, no error
		b.start()
		if err := a.write(b.dev, "x"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a.want("x", ErrLost)
		if s := b.dev.Status(); s.State != Failed {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

func TestWritesThatTheFramingCannotCarry(t *testing.T) {
	b, a := newBench(t, nil), newAnswers(t)
	for payload, want := range map[string]error{
		"0123456789abcdefg": ErrTooLarge,
		"a\nb":              framing.ErrDelimiter,
		"":                  framing.ErrEmpty,
		"fits":              ErrNotOpen, // it does not run
	} {
		if err := a.write(b.dev, payload); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", payload, err, want)
		}
	}
	if len(a.got) > 0 {
		t.Errorf("done was called: %v", a.got)
	}
}

func TestAWriterLeavesTheSilenceThatEndsAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, a := newBench(t, func(o *Options) {
			o.Framing = framing.Spec{Type: "idle", Gap: 20 * time.Millisecond}
		}), newAnswers(t)
		b.plug()
		b.start()
		for _, s := range []string{"a", "b"} {
			if err := a.write(b.dev, s); err != nil {
				t.Fatal(err)
			}
		}
		pass(time.Second)
		if d := a.when["b"].Sub(a.when["a"]); d < 20*time.Millisecond {
			t.Errorf("second frame %v after the first", d)
		}
		b.stop()
	})
}
