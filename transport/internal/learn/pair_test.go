package learn

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// pairWorld has a main link that hears what the pair publishes, unless its own path forgot it.
func pairWorld(t *testing.T, hears func(w *world) bool, test func(w *world)) {
	o := options(heartbeat.Fast)
	o.Canary.Pair = true
	inWorld(t, &world{limit: limit}, o, func(w *world) {
		w.up("first", false)
		if w.le.PairTopic() != "probe/0" {
			w.Fatalf("the main link hears its pair on %q", w.le.PairTopic())
		}
		w.hear = func(payload []byte) {
			if hears(w) {
				go w.le.PairHeard(payload, 30, false, func() {})
			}
		}
		test(w)
	})
}

// At the end of each interval the pair proves the main link's own flow, which is as good as a ping.
func TestThePairProvesTheMainLinksFlow(t *testing.T) {
	pairWorld(t, func(*world) bool { return true }, func(w *world) {
		w.settled(2 * time.Hour)
		before, pings := w.status(), w.count(&w.main.pings)
		w.sleep(time.Hour)
		s := w.status()
		if s.Canaries < before.Canaries+10 || s.Shrinks != 0 || w.count(&w.main.rearmed) < 10 || w.count(&w.main.pings) != pings {
			w.Errorf("before %+v\nafter  %+v, rearmed %d times, %d pings", before, s, w.count(&w.main.rearmed),
				w.count(&w.main.pings)-pings)
		}
	})
}

// What a main link that is alive does not hear any more was forgotten on the way: the beat begins anew, below.
func TestThePairSeesAShrunkLimit(t *testing.T) {
	deaf := false
	pairWorld(t, func(*world) bool { return !deaf }, func(w *world) {
		w.settled(2 * time.Hour)
		w.sleep(time.Hour)
		was := w.status()
		w.change(func() { deaf = true })
		w.sleep(3 * was.Interval)
		if s := w.status(); s.Shrinks != 1 {
			w.Errorf("was %+v\nis  %+v", was, s)
		}
	})
}

// Where the main link never heard its pair the server may not carry it: that proves nothing.
func TestAPairThatWasNeverHeardProvesNothing(t *testing.T) {
	pairWorld(t, func(*world) bool { return false }, func(w *world) {
		w.settled(2 * time.Hour)
		w.sleep(time.Hour)
		synctest.Wait()
		if s := w.status(); s.Shrinks != 0 {
			w.Errorf("%+v", s)
		}
	})
}
