package transport

import (
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// A balancer closes what is silent for 45 s, the beat may grow to 60 s, and pings are all that tells: probes are denied. It is
// learnt like a silence that loses the link, and nobody is accused.
func TestClosedAtASilenceIsLearnt(t *testing.T) {
	for name, limit := range map[string]time.Duration{"45 s": 45 * time.Second, "31 s": 31 * time.Second,
		"59 s": 59 * time.Second} {
		t.Run(name, func(t *testing.T) {
			hooks := transporttest.Hooks{Idle: limit, OnConnect: func(c transporttest.Connect) byte {
				if c.ClientID != rigID {
					return transporttest.NotAuthorised
				}
				return transporttest.Accepted
			}}
			inBubble(t, rigOptions{a: hooks, tweak: learning(heartbeat.Fast)}, func(r *rig) {
				for range 12 {
					r.sleep(time.Hour)
					if why := r.link.Status().Why; strings.Contains(why, "another client") {
						r.Fatalf("accused: %q", why)
					}
				}
				if st := r.link.Status(); st.Drops > 2 || st.Interval >= limit || st.State != StateUp {
					r.Errorf("limit %v: %+v", limit, st)
				}
				if r.has(EventTakeover) {
					r.Errorf("events %s", r.kinds())
				}
			})
		})
	}
}

// Where nothing is learnt the operator must act, and is told what to do.
func TestClosedAtASilenceIsSaid(t *testing.T) {
	hooks := transporttest.Hooks{Idle: 45 * time.Second}
	inBubble(t, rigOptions{a: hooks}, func(r *rig) {
		said := ""
		for range 60 {
			r.sleep(10 * time.Second)
			if why := r.link.Status().Why; strings.Contains(why, "in a row") {
				said = why
			}
			if why := r.link.Status().Why; strings.Contains(why, "another client") {
				r.Fatalf("accused: %q", why)
			}
		}
		if !strings.Contains(said, "after 45s in which we sent nothing") || !r.has(EventKicked) || r.has(EventTakeover) {
			r.Errorf("%q, events %s", said, r.kinds())
		}
	})
}
