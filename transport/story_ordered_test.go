package transport

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// TestOrderedOverLosses: each message of a tenth is hung up on the first time it comes.
func TestOrderedOverLosses(t *testing.T) {
	var mu sync.Mutex
	met := map[string]bool{}
	hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		mu.Lock()
		defer mu.Unlock()
		n, err := strconv.Atoi(string(m.Payload))
		if err == nil && n%10 == 7 && !met[string(m.Payload)] {
			met[string(m.Payload)] = true
			return transporttest.HangUp
		}
		return transporttest.Take
	}}
	inBubble(t, rigOptions{a: hooks}, func(r *rig) {
		r.up(time.Minute)
		o := r.link.Ordered()
		for i := range 30 {
			m := data(i)
			m.Payload = []byte(strconv.Itoa(i))
			if err := o.Send(r.Context(), m); err != nil {
				r.Fatal(err)
			}
		}
		for done := false; !done; r.sleep(time.Second) {
			var err error
			if done, err = o.Tend(r.Context()); err != nil {
				r.Fatal(err)
			}
		}
		next := 0
		for _, m := range r.a.Published("lb/gw-1/up/data/#") {
			n, _ := strconv.Atoi(string(m.Payload))
			if n > next {
				r.Fatalf("%d came before %d", n, next)
			}
			next = max(next, n+1)
		}
		if next != 30 {
			r.Errorf("%d of 30 came", next)
		}
	})
}
