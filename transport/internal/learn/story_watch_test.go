package learn

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// flood is enough of a stranger for learning to rest.
var flood = strange{every: 10 * time.Second, burst: 10, payload: 40}

// Whoever may publish to probe topics cannot have a limit that shrinks go unseen on a loose path: the watch goes on while
// learning rests, and where it cannot the beat is as long as pings alone may let it be.
func TestWhileLearningRestsALimitThatShrinksIsSeen(t *testing.T) {
	for name, tt := range map[string]struct {
		w      *world
		pair   bool
		canary Canary
		do     func(w *world) // for as long as watched
		sees   bool           // that it shrank, and not only beats soon
		stays  bool           // the beat is as it was
	}{
		"a flood that ends":             {do: func(w *world) { w.disturb(flood, time.Minute) }, sees: true},
		"a flood that goes on":          {do: func(w *world) { w.disturb(flood, 7*time.Hour) }},
		"a flood beside a pair":         {pair: true, do: func(w *world) { w.disturb(flood, 7*time.Hour) }, sees: true},
		"a link that is muted":          {pair: true, do: func(w *world) { w.le.Mute(true) }},
		"a pair that never comes again": {pair: true, do: func(w *world) { w.refuse(); w.le.Mute(true); w.le.Mute(false) }},
		"no session gets in":            {do: func(w *world) { w.refuse(); w.disturb(flood, 2*time.Hour) }},
		"a strict path": {w: &world{strict: true}, do: func(w *world) { w.disturb(flood, 7*time.Hour) },
			stays: true},
		"nobody wants it watched": {canary: Canary{Off: true}, do: func(w *world) { w.disturb(flood, 7*time.Hour) },
			stays: true},
		"a low budget": {do: func(w *world) { w.le.SetLevel(Low); w.disturb(flood, 7*time.Hour) }, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			o, w := options(heartbeat.Thrifty), tt.w
			if w == nil {
				w = &world{}
			}
			if o.Canary = tt.canary; tt.pair {
				o.Canary.Pair = true
			}
			w.limit = limit
			inWorld(t, w, o, func(w *world) {
				shrunk := false
				w.hear = func(p []byte) {
					if !shrunk {
						go w.le.PairHeard(p, 30, false, func() {})
					}
				}
				w.up("first", false)
				was := w.settled(12 * time.Hour)
				w.sleep(3 * time.Hour)
				w.change(func() { w.opened = 0 })
				if tt.sees {
					tt.do(w)
					if n := w.count(&w.opened); n > 10 {
						t.Errorf("%d sessions were opened", n)
					}
					w.change(func() { w.limit, shrunk = time.Minute, true })
				} else {
					go tt.do(w)
				}
				w.sleep(5 * time.Hour)
				switch s := w.status(); {
				case tt.stays && s.Interval != was.Interval, tt.stays && s.Shrinks != 0:
					t.Errorf("was %+v\nis  %+v", was, s)
				case tt.sees && (s.Shrinks != 1 || s.Interval > time.Minute):
					t.Errorf("not seen: %+v", s)
				case !tt.sees && !tt.stays && (s.Interval != time.Minute || s.Shrinks != 0 || s.Proven != was.Proven ||
					!strings.Contains(s.Reason, "nothing watched for long")):
					t.Errorf("not careful: %+v", s)
				}
				if n := w.count(&w.opened); !tt.sees && n > 35 { // a pair is tried each 10 min
					t.Errorf("%d sessions were opened", n)
				}
				w.sleep(3 * time.Hour)
			})
		})
	}
}

// refuse lets no further probe session in: the server is busy.
func (w *world) refuse() {
	w.change(func() { w.connack = func(string) byte { return faults.CodeUnavailable } })
}

// When strangers are gone the watch comes back, and with it the beat that was proven; CONNECT was left as it was.
func TestTheBeatComesBackWithTheWatch(t *testing.T) {
	for _, pair := range []bool{false, true} {
		t.Run(fmt.Sprint("pair ", pair), func(t *testing.T) {
			o := options(heartbeat.Thrifty)
			o.Canary.Pair = pair
			inWorld(t, &world{limit: limit}, o, func(w *world) {
				w.hear = func(p []byte) { go w.le.PairHeard(p, 30, false, func() {}) }
				w.up("first", false)
				w.settled(12 * time.Hour)
				w.up("settled", true)
				w.sleep(3 * time.Hour)
				was := w.status()
				redials := w.count(&w.main.redials)
				if pair {
					w.le.Mute(true)
					w.sleep(5 * time.Hour)
				} else {
					w.disturb(flood, 5*time.Hour)
				}
				if s := w.status(); s.Interval != time.Minute {
					t.Fatalf("%+v", s)
				}
				if n := w.count(&w.main.redials); n != redials {
					t.Errorf("%d re-dials", n-redials)
				}
				next := w.up("planned", true)
				if s := w.status(); s.Interval != time.Minute || next.keepalive < 2*was.Interval-time.Second {
					t.Errorf("begins with %v, CONNECT says %v: %+v", next.told(), next.keepalive, s)
				}
				w.le.Mute(false)
				w.sleep(30 * time.Hour)
				if s := w.status(); s.Interval != was.Interval || s.Shrinks != 0 || s.Proven != was.Proven {
					t.Errorf("was %+v\nis  %+v", was, s)
				}
			})
		})
	}
}

// A retained message on each probe topic was published once, by whoever: learning goes on beside it, and why says how to be rid
// of it. One that is too much lets learning rest, and says the same.
func TestARetainedMessageDoesNotStopLearning(t *testing.T) {
	for name, tt := range map[string]struct {
		size   int
		within time.Duration // until it is settled; 0: it never is
	}{"small": {1, 2 * time.Hour}, "larger": {250, 14 * 24 * time.Hour}, "too large": {3000, 0}} {
		for _, mode := range []heartbeat.Mode{heartbeat.Fast, heartbeat.Thrifty} {
			t.Run(fmt.Sprint(name, ", ", mode), func(t *testing.T) {
				inWorld(t, &world{limit: limit, retained: bytes.Repeat([]byte("r"), tt.size)}, options(mode), func(w *world) {
					w.up("first", false)
					if tt.within > 0 {
						if s := w.settled(tt.within); s.Proven > limit || s.Interval < limit*9/10 {
							t.Errorf("%+v", s)
						}
					} else {
						w.sleep(24 * time.Hour)
					}
					w.why("a retained message of somebody else comes with each probe session of probe/")
					w.why("clear it (mosquitto_pub -r -n -t 'probe/")
					if n := w.refused(); n > share {
						t.Errorf("%d bytes are booked as refused", n)
					}
					w.change(func() { w.retained = nil })
					w.sleep(4 * 24 * time.Hour)
					w.why("")
				})
			})
		}
	}
}

// A server, or a bridge, that brings each message twice is no stranger, and what comes the second time proves nothing. Whoever
// replays what we sent is one.
func TestOurOwnMessageTwice(t *testing.T) {
	for _, pair := range []bool{false, true} {
		for _, mode := range []heartbeat.Mode{heartbeat.Fast, heartbeat.Thrifty} {
			t.Run(fmt.Sprint(mode, ", pair ", pair), func(t *testing.T) {
				o := options(mode)
				o.Canary.Pair = pair
				inWorld(t, &world{limit: limit, twice: true}, o, func(w *world) {
					refused := 0
					w.hear = func(p []byte) { go w.le.PairHeard(p, 30, false, func() { refused++ }) }
					w.up("first", false)
					if s := w.settled(6 * time.Hour); s.Proven > limit || s.Interval < limit*9/10 {
						t.Errorf("%+v", s)
					}
					w.sleep(24 * time.Hour)
					w.why("")
					if s := w.status(); w.refused() != 0 || refused != 0 || s.Shrinks != 0 || s.Canaries == 0 {
						t.Errorf("%d bytes refused, %d times: %+v", w.refused(), refused, s)
					}
					if !pair {
						return
					}
					nonce := w.le.nonces.fresh()
					for range 100 {
						w.le.PairHeard(nonce, 30, false, func() { refused++ })
					}
					w.sleep(time.Second)
					w.why("others publish to probe/0")
				})
			})
		}
	}
}

// 16 messages or 4 KiB in a day are what is said, however long they are and the session lives.
func TestWhatADayMayBring(t *testing.T) {
	for name, tt := range map[string]struct {
		strange
		times int
		rests bool
	}{
		"one of 2 KiB":               {strange{every: time.Minute, payload: 2 << 10}, 1, false},
		"three of 2 KiB":             {strange{every: 9 * time.Hour, payload: 2 << 10}, 3, true},
		"one of 5 KiB":               {strange{every: time.Minute, payload: 5 << 10}, 1, true},
		"four of 900 bytes":          {strange{every: time.Minute, payload: 900}, 4, false},
		"two a day for a month":      {strange{every: 12 * time.Hour, payload: 100}, 60, false},
		"one of 900 bytes, each day": {strange{every: 24*time.Hour + time.Second, payload: 900}, 30, false},
		"17 in an hour":              {strange{every: 3 * time.Minute, payload: 1}, 17, true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, &world{}, options(heartbeat.Thrifty), func(w *world) {
				told := 0
				w.le.env.Foreign = func(string) { told++ }
				w.up("first", false)
				w.settled(12 * time.Hour)
				w.sleep(24 * time.Hour) // the canary's session is one of those that live long
				tt.burst = 1
				w.change(func() { w.opened = 0 })
				w.disturb(tt.strange, time.Duration(tt.times)*tt.every-time.Second)
				w.sleep(time.Second)
				if n := w.count(&w.opened); n > 5 && tt.times > 17 {
					t.Errorf("%d sessions were opened", n)
				}
				if (told > 0) != tt.rests || w.refused() == 0 {
					t.Errorf("rested %d times, %d bytes refused", told, w.refused())
				}
			})
		})
	}
}

// At rest there is nothing to do before it ends, though the time has come at which a limit might have grown.
func TestALowBudgetWakesNobody(t *testing.T) {
	o := options(heartbeat.Thrifty)
	o.Canary.Off = true
	inWorld(t, &world{limit: limit}, o, func(w *world) {
		w.up("first", false)
		w.settled(12 * time.Hour)
		w.le.SetLevel(Low)
		w.sleep(72 * time.Hour)
		next := make(chan time.Time, 1)
		w.le.do(func() { next <- w.le.wake(time.Now()) })
		if at := <-next; !at.IsZero() && time.Until(at) < time.Minute {
			t.Errorf("wakes in %v, though there is nothing to do", time.Until(at))
		}
	})
}

// A canary that is silent when learning comes to rest is tested all the same.
func TestARestLeavesASilentCanary(t *testing.T) {
	inWorld(t, &world{limit: limit}, options(heartbeat.Thrifty), func(w *world) {
		w.up("first", false)
		w.settled(12 * time.Hour)
		w.sleep(3 * time.Hour)
		for w.status().Open == 0 {
			w.sleep(time.Second)
		}
		before := w.status()
		for range 100 {
			w.le.PairHeard([]byte("x"), 30, false, func() {})
		}
		w.sleep(time.Second)
		w.why("others publish to")
		if s := w.status(); s.Open != 1 || s.Phase != "resting" {
			t.Errorf("%+v", s)
		}
		w.sleep(limit)
		if s := w.status(); s.Canaries != before.Canaries+1 || s.Sessions != before.Sessions || s.Shrinks != 0 {
			t.Errorf("before %+v\nafter  %+v", before, s)
		}
	})
}
