package learn

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// What a new session begins with: its beat, and what its CONNECT says.
func TestBegin(t *testing.T) {
	known := &fakeMemory{paths: map[string]heartbeat.Knowledge{"mqtt://server": {Proven: 4 * time.Minute}}}
	for _, tt := range []struct {
		name      string
		mode      heartbeat.Mode
		memory    Memory
		pair      bool
		fixed     bool          // CONNECT does not follow the beat
		refused   time.Duration // a keepalive that the server did not take
		interval  time.Duration
		keepalive time.Duration
	}{
		{"an unknown path gets the ceiling", heartbeat.Fast, nil, false, false, 0, 20 * time.Second, 1170 * time.Second},
		{"a known one twice what it had", heartbeat.Fast, known, false, false, 0, 20 * time.Second, 8 * time.Minute},
		{"with a pair four times", heartbeat.Fast, known, true, false, 0, 20 * time.Second, 16 * time.Minute},
		{"without learning twice the beat", heartbeat.Off, nil, false, false, 0, time.Minute, 2 * time.Minute},
		{"as configured", heartbeat.Off, nil, false, true, 0, time.Minute, 1170 * time.Second},
		{"as low as the server wants", heartbeat.Fast, nil, false, false, 600 * time.Second, 20 * time.Second, 300 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := options(tt.mode)
			o.Memory, o.Canary.Pair = tt.memory, tt.pair
			server, err := netdial.NewEndpoint(netdial.Server{URL: "mqtt://server"})
			if err != nil {
				t.Fatal(err)
			}
			if tt.refused > 0 {
				server.LowerKeepalive(tt.refused)
			}
			le := New(o, Env{Interval: time.Minute, Keepalive: 1170 * time.Second, AdaptKeep: !tt.fixed,
				Rand: func() float64 { return 0.5 }})
			interval, keepalive := le.Begin(server, netdial.Path{}, false)
			if interval != tt.interval || keepalive != tt.keepalive {
				t.Errorf("beat %v, keepalive %v", interval, keepalive)
			}
		})
	}
}

// Once settled, a CONNECT that does not fit the beat is worth one re-dial; one that fails is asked for again an hour later.
func TestARedialIsAskedForOnceSettled(t *testing.T) {
	inWorld(t, &world{limit: limit}, options(heartbeat.Fast), func(w *world) {
		m := w.up("first", false)
		for w.status().Phase != "settled" {
			if w.count(&m.redials) > 0 {
				w.Fatal("asked for while learning")
			}
			w.sleep(time.Second)
		}
		w.sleep(10 * time.Minute)
		if w.count(&m.redials) != 1 {
			w.Errorf("asked for %d times", w.count(&m.redials))
		}
		w.sleep(10 * time.Hour)
		if w.count(&m.redials) < 2 || w.count(&m.redials) > 11 {
			w.Errorf("asked for %d times in ten hours of refusals", w.count(&m.redials))
		}
		second := w.up("second", true)
		if want := 2 * w.status().Interval; (second.keepalive - want).Abs() > 2*time.Second {
			w.Errorf("keepalive %v, want %v", second.keepalive, want)
		}
		w.sleep(10 * time.Hour)
		if w.count(&second.redials) != 0 {
			w.Errorf("asked for %d times though it fits", w.count(&second.redials))
		}
	})
}
