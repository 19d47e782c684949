package transport

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// A person repaired the password: nobody waits for backoff.refused then.
func TestRetryEndsTheWaitAfterARefusal(t *testing.T) {
	var good atomic.Bool
	hooks := transporttest.Hooks{OnConnect: func(transporttest.Connect) byte {
		if good.Load() {
			return transporttest.Accepted
		}
		return transporttest.BadCredentials
	}}
	inBubble(t, rigOptions{a: hooks}, func(r *rig) {
		r.sleep(time.Minute)
		r.link.Retry()
		r.sleep(time.Second)
		if n := connects(r.a); n != 2 {
			t.Fatalf("%d connects, want one for the start and one for Retry", n)
		}
		good.Store(true)
		r.link.Routed() // is not enough
		r.sleep(time.Second)
		if n := connects(r.a); n != 2 {
			t.Fatalf("%d connects after a change of routes", n)
		}
		r.link.Retry()
		r.up(time.Second)
	})
}

// What was asked for while all was well must not defeat the backoff of the next loss: a fleet whose server restarts is spread.
func TestRetryWhileUpIsForgotten(t *testing.T) {
	inBubble(t, rigOptions{}, func(r *rig) {
		r.up(time.Second)
		r.sleep(2 * time.Minute)
		r.link.Retry()
		r.a.Kick(rigID)
		r.sleep(time.Second)
		if n := connects(r.a); n != 1 {
			t.Fatalf("%d connects, want only the first: the next one is due in 10 s", n)
		}
		r.up(20 * time.Second)
	})
}
