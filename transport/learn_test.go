package transport

import (
	"fmt"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

func learning(mode heartbeat.Mode) func(*Options) {
	return func(o *Options) {
		o.Keepalive = 1170 * time.Second
		o.Learning = Learning{Mode: mode, Min: 20 * time.Second, Max: 19 * time.Minute,
			Topic:  func(n int) string { return fmt.Sprintf("lb/gw-1/dn/probe/%d", n) },
			Budget: heartbeat.BudgetOptions{Month: 1 << 30}}
	}
}

func TestLearns(t *testing.T) {
	for _, b := range []transporttest.Behaviour{transporttest.LooseRST, transporttest.LooseSilent, transporttest.Strict, transporttest.SYNOnly} {
		for _, mode := range []heartbeat.Mode{heartbeat.Fast, heartbeat.Thrifty} {
			t.Run(fmt.Sprint(b, " ", mode), func(t *testing.T) {
				limit := 200 * time.Second
				inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: limit, Behaviour: b, Latency: 50 * time.Millisecond}, tweak: learning(mode)}, func(r *rig) {
					r.up(time.Minute)
					for range 20 {
						r.sleep(5 * time.Minute)
						st := r.link.Status()
						t.Logf("%+v drops %d", st.Heartbeat, st.Drops)
						if st.Heartbeat.Phase == "settled" {
							break
						}
					}
					st := r.link.Status()
					if st.Drops > 0 || st.Heartbeat.Phase != "settled" || float64(st.Heartbeat.Interval) < 0.945*float64(limit) {
						t.Errorf("%+v, drops %d", st.Heartbeat, st.Drops)
					}
				})
			})
		}
	}
}
