package pump

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// refuseAt hangs up at each publish that the server does not take.
func refuseAt(bad func(m transporttest.Message) bool) transporttest.Hooks {
	return transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		if bad(m) {
			return transporttest.HangUp
		}
		return transporttest.Take
	}}
}

// A record at which the server closes the connection is given up after a few tries, marked and named; the others arrive.
func TestARecordThatTheServerClosesAt(t *testing.T) {
	large := func(m transporttest.Message) bool { return len(m.Payload) > 400 }
	for name, c := range map[string]struct {
		bad    func(m transporttest.Message) bool
		routes map[string]Route
		poison int64
	}{
		"too large for it":               {large, nil, 1},
		"a topic that it does not allow": {func(m transporttest.Message) bool { return m.Topic == "up/odd" }, nil, 2},
		"too large in a batch": {large, map[string]Route{"odd": {Topic: "up/odd", Cause: transport.CauseData,
			Batch: Batching{Frames: 10, Delay: time.Second, Bytes: 4 << 10}}}, 1},
		"a batch that is too large": {large, map[string]Route{"meter": {Topic: "up/meter", Cause: transport.CauseData,
			Batch: Batching{Frames: 50, Delay: time.Second, Bytes: 600}}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newPumpRig(t, refuseAt(c.bad), c.routes)
				defer r.stop()
				r.feed(t, 20, "meter")
				odd := record.Stored{Encoding: wire.Text, Stamp: clock.Stamp{Wall: time.Now().UnixMilli()},
					Data: make([]byte, 500)}
				if _, err := r.data.Append("odd", odd.Append(nil)); err != nil {
					t.Fatal(err)
				}
				r.feed(t, 200, "scale")
				r.waitEmpty(t)
				for device, n := range map[string]int{"meter": 20, "scale": 200} {
					texts, _ := r.records(t, device)
					checkTexts(t, device, texts, n)
				}
				if s := r.data.Status(); s.Poison != c.poison {
					t.Fatalf("%+v", s)
				}
				if why := r.pump.Why(); !strings.Contains(why, `"odd"`) ||
					!strings.Contains(why, "the server closes the connection when it gets this") {
					t.Fatalf("%q", why)
				}
			})
		})
	}
}

// A device whose topic is not allowed is held back after a few records: the others go on, and its frames arrive when it is.
func TestADeviceThatIsNotAllowedIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var allowed atomic.Bool
		r := newPumpRig(t, refuseAt(func(m transporttest.Message) bool { return m.Topic == "up/odd" && !allowed.Load() }), nil)
		defer r.stop()
		start := time.Now()
		r.feed(t, 100, "odd", "scale")
		for texts, _ := r.records(t, "scale"); len(texts) < 100; texts, _ = r.records(t, "scale") {
			time.Sleep(time.Second)
			if time.Since(start) > 2*time.Hour {
				t.Fatalf("%d of 100 in %v", len(texts), time.Since(start))
			}
		}
		if s := r.data.Status(); s.Poison != offencesToHold {
			t.Fatalf("%+v", s)
		}
		if why := r.pump.Why(); !strings.Contains(why, "at each record of odd: held back until") {
			t.Fatalf("%q", why)
		}
		allowed.Store(true)
		r.waitEmpty(t)
		if s := r.data.Status(); s.Poison != offencesToHold || s.Accepted != s.Acked+s.Poison {
			t.Fatalf("%+v", s)
		}
		if why := r.pump.Why(); strings.Contains(why, "held back") {
			t.Fatalf("%q", why)
		}
		if _, again := r.records(t, "scale"); again > 12*testWindow {
			t.Fatalf("%d came again", again)
		}
	})
}

// Nothing is given up because of silence, or of a server that closes whatever comes.
func TestTroubleOfTheServerAccusesNoRecord(t *testing.T) {
	for name, trouble := range map[string]func(r *pumpRig){
		"silence": func(r *pumpRig) { r.broker.Freeze(); time.Sleep(20 * time.Minute); r.broker.Thaw() },
		"kicked all the time": func(r *pumpRig) {
			for range 600 {
				r.broker.Kick("gw")
				time.Sleep(500 * time.Millisecond)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newPumpRig(t, transporttest.Hooks{}, nil)
				defer r.stop()
				<-r.link.Ready()
				r.feed(t, 100, "meter")
				trouble(r)
				r.feed(t, 100, "scale")
				r.waitEmpty(t)
				if s := r.data.Status(); s.Poison != 0 || s.Acked != 200 {
					t.Fatalf("%+v", s)
				}
			})
		})
	}
}
