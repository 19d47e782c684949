package learn

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// Where a server carries no probes the beat rests on pings: it stays where the operator said, and the server is asked again a day
// later.
func TestDeniedProbes(t *testing.T) {
	for name, w := range map[string]*world{
		"client id refused": {connack: func(string) byte { return 5 }},
		"publish swallowed": {swallow: true},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, w, options(heartbeat.Fast), func(w *world) {
				w.up("first", false)
				w.sleep(3 * time.Hour)
				if s := w.status(); s.Evidence != "weak" || s.Interval != time.Minute || s.Proven != 0 || s.Open != 0 {
					w.Errorf("%+v", s)
				}
				w.why("learning is not possible")
				opened := w.count(&w.opened)
				w.sleep(12 * time.Hour)
				if w.count(&w.opened) != opened {
					w.Errorf("asked again %d times within a day", w.count(&w.opened)-opened)
				}
				w.change(func() { w.connack, w.swallow, w.limit = nil, false, limit })
				w.sleep(24 * time.Hour)
				if s := w.status(); s.Evidence != "inbound" || s.Phase != "settled" {
					w.Errorf("once it is allowed: %+v", s)
				}
				w.why("")
			})
		})
	}
}

// A server that is not available for probe sessions denies nothing: it is asked less and less often.
func TestUnavailableIsNoDenial(t *testing.T) {
	inWorld(t, &world{connack: func(string) byte { return faults.CodeUnavailable }}, options(heartbeat.Fast), func(w *world) {
		w.up("first", false)
		w.sleep(time.Hour)
		w.why("no probe session can be opened")
		if w.count(&w.opened) > 12*12 {
			w.Errorf("asked %d times in an hour", w.count(&w.opened))
		}
	})
}

// A main link that is closed right after its first nonce was closed because of it: access rules that hang up. Where nonces were
// carried before, once may be chance.
func TestHungUpOnANonce(t *testing.T) {
	for name, carried := range map[string]bool{"never carried": false, "carried before": true} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, &world{hangUp: !carried}, options(heartbeat.Fast), func(w *world) {
				closed := func() {
					for hung := w.count(&w.hung); w.count(&w.hung) == hung; {
						w.sleep(100 * time.Millisecond)
					}
					w.le.Down(w.main, faults.Verdict{Kind: faults.OutcomeClosed, Up: true})
					w.up("next", false)
				}
				w.up("first", false)
				if carried {
					w.sleep(2 * time.Minute)
					w.change(func() { w.hangUp = true })
					closed()
					w.why("")
				}
				closed()
				w.why("hung up")
				hung := w.count(&w.hung)
				w.sleep(12 * time.Hour)
				if s := w.status(); w.count(&w.hung) != hung || s.Evidence == "inbound" {
					w.Errorf("hung up %d times more: %+v", w.count(&w.hung)-hung, s)
				}
			})
		})
	}
}
