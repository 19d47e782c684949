package bridge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

func TestFramesComeInOrderWithTheTimeOfTheirFirstByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		p := b.plug()
		b.start()
		t0 := time.Now()
		p.In <- []byte("one\ntw")
		synctest.Wait()
		b.wantFrames("one")
		if s := b.balance(); s.Pending != 2 || s.Read != 6 {
			t.Errorf("a torn frame: %+v", s)
		}
		pass(3 * time.Second)
		p.In <- []byte("o\r\n\nthree\n")
		synctest.Wait()
		b.wantFrames("one", "two", "three")
		want := []time.Time{t0, t0, t0.Add(3 * time.Second)}
		if !slices.EqualFunc(b.times, want, time.Time.Equal) {
			t.Errorf("times %v, want %v", b.times, want)
		}
		s := b.balance()
		if s.Framed != 3 || s.Accepted != 3 || s.InFrames != 11 || s.Delimiters != 5 || s.Pending != 0 || s.Opens != 1 {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

func TestPullingThePlugIsOneEventAndTheTornFrameIsBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		p := b.plug()
		b.start()
		p.In <- []byte("one\ntor")
		synctest.Wait()
		b.unplug()
		if s := b.balance(); s.State != Absent || s.Bad != 3 || s.BadFrames != 1 || s.Pending != 0 || s.Why == "" {
			t.Errorf("after the unplug: %+v", s)
		}
		pass(time.Hour)
		synctest.Wait()
		p = b.plug()
		pass(time.Second)
		synctest.Wait()
		if s := b.balance(); s.State != Opened || s.Opens != 2 || s.Why != "" {
			t.Errorf("not open again 1 s after the replug: %+v", s)
		}
		p.In <- []byte("n\ntwo\n")
		synctest.Wait()
		b.wantFrames("one", "n", "two")
		if s := b.balance(); s.Read != 13 || s.Framed != 3 {
			t.Errorf("counters must go on over a reopen: %+v", s)
		}
		if got := b.states(); !slices.Equal(got, []string{Opened, Absent, Opened}) {
			t.Errorf("events %v", got)
		}
		b.stop()
		if got := b.states(); !slices.Equal(got, []string{Opened, Absent, Opened, Absent}) {
			t.Errorf("events after the stop %v", got)
		}
	})
}

func TestAnAbsentPortIsLookedForTwiceASecondAndToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		pass(10 * time.Second)
		if n := b.attempts(); n < 10 || n > 25 {
			t.Errorf("%d attempts in 10 s", n)
		}
		if got := b.states(); !slices.Equal(got, []string{Absent}) {
			t.Errorf("events %v", got)
		}
		b.stop()
	})
}

func TestAFaultIsTriedAgainMoreSlowlyAndToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.setFault(fmt.Errorf("/dev/fake: %w: gpsd, pid 812", serialport.ErrInUse))
		b.start()
		pass(time.Hour)
		if n := b.attempts(); n < 700 || n > 740 {
			t.Errorf("%d attempts in an hour, want one each 5 s", n)
		}
		if s := b.dev.Status(); s.State != Failed || !strings.Contains(s.Why, "gpsd") {
			t.Errorf("%+v", s)
		}
		b.plug()
		pass(5 * time.Second)
		synctest.Wait()
		if got := b.states(); !slices.Equal(got, []string{Failed, Opened}) {
			t.Errorf("events %v", got)
		}
		b.stop()
	})
}

func TestAPortThatBreaksOffAtOnceIsNoTightLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.plug().HangUp()
		b.start()
		pass(time.Minute)
		if n := b.attempts(); n > 20 {
			t.Errorf("%d attempts in a minute", n)
		}
		b.stop()
	})
}

func TestRefusedFramesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		p := b.plug()
		b.start()
		b.refuse = errors.New("spool is full")
		p.In <- []byte("one\ntwo\nthis line is longer than the maximum\n")
		synctest.Wait()
		b.refuse = nil
		p.In <- []byte("three\n")
		synctest.Wait()
		b.wantFrames("three")
		if s := b.balance(); s.Framed != 3 || s.Refused != 2 || s.Accepted != 1 || s.BadFrames != 1 || s.Bad != 36 {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

func TestSilenceEndsAFrameWithoutAnotherByte(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, func(o *Options) {
			o.Framing = framing.Spec{Type: "idle", Chars: 3.5}
			o.Baud = 9600 // 8N1: a character takes 1.04 ms
		})
		p := b.plug()
		b.start()
		p.In <- []byte{1, 2}
		pass(3 * time.Millisecond)
		p.In <- []byte{3}
		synctest.Wait()
		b.wantFrames()
		pass(4 * time.Millisecond)
		synctest.Wait()
		b.wantFrames("\x01\x02\x03")
		b.stop()
	})
}

// A port must not spin the reader, and must not look like a silence.
func TestAPortThatReadsNothingIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.plug().In <- []byte{}
		b.start()
		if s := b.dev.Status(); s.State != Failed || s.Opens != 1 {
			t.Errorf("%+v", s)
		}
		b.stop()
	})
}

func TestRunRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, nil)
		b.start()
		if err := b.dev.Run(t.Context()); err == nil {
			t.Error("a second Run was allowed")
		}
		b.stop()
		b.plug()
		b.start()
		if s := b.dev.Status(); s.State != Opened {
			t.Errorf("Run after Run: %+v", s)
		}
		b.stop()
	})
}

func TestNewRefuses(t *testing.T) {
	take := func(Frame) error { return nil }
	for name, o := range map[string]Options{
		"no name":     {Port: "/dev/x", OnFrame: take},
		"no port":     {Name: "x", OnFrame: take},
		"no taker":    {Name: "x", Port: "/dev/x"},
		"bad framing": {Name: "x", Port: "/dev/x", OnFrame: take, Framing: framing.Spec{Type: "morse"}},
		"bad mode": {Name: "x", Port: "/dev/x", OnFrame: take,
			Mode: serialport.Mode{DataBits: 9, Parity: 'N', Stop: serialport.OneStop}},
		"bad stop":  {Name: "x", Port: "/dev/x", OnFrame: take, Mode: serialport.Mode{DataBits: 8, Parity: 'N'}},
		"bad baud":  {Name: "x", Port: "/dev/x", OnFrame: take, Baud: -1},
		"bad queue": {Name: "x", Port: "/dev/x", OnFrame: take, Queue: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
