package transport

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// detect are the values of detect_within that everything about late and dead is tested with.
var detect = []time.Duration{6 * time.Second, 60 * time.Second}

func each(t *testing.T, test func(t *testing.T, detect time.Duration)) {
	for _, d := range detect {
		t.Run(d.String(), func(t *testing.T) { test(t, d) })
	}
}

func TestShortCutCostsNoReconnect(t *testing.T) {
	each(t, func(t *testing.T, d time.Duration) {
		for cut := time.Second; cut <= d*8/10; cut += d / 10 {
			for _, busy := range []bool{false, true} {
				t.Run(fmt.Sprintf("cut %v busy %v", cut, busy), func(t *testing.T) { shortCut(t, d, cut, busy) })
			}
		}
	})
}

func shortCut(t *testing.T, d, cut time.Duration, busy bool) {
	o := rigOptions{
		nat:   transporttest.NATOptions{Latency: 50 * time.Millisecond, MaxRTO: netdial.RTOMax(d)},
		both:  true,
		tweak: func(o *Options) { o.DetectWithin, o.Interval = d, 20*time.Second },
	}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		r.sleep(19900 * time.Millisecond) // the next beat falls into the cut
		r.nat.Cut(cut)
		if busy {
			if _, err := r.link.Send(r.Context(), data(1)); err != nil {
				r.Fatal(err)
			}
		}
		r.sleep(cut + netdial.RTOMax(d) + time.Second)
		if cut > 3*time.Second && !r.has(EventLate) {
			r.Errorf("lateness was not told: %s", r.kinds())
		}
		if n := len(r.a.Published("lb/gw-1/up/data/#")); busy && n != 1 {
			r.Errorf("%d messages arrived in time", n)
		}
		r.sleep(3 * d)
		if st := r.link.Status(); st.Drops != 0 || st.State != StateUp {
			r.Errorf("status: %+v", st)
		}
		r.why()
	})
}

func TestFrozenServerIsLeft(t *testing.T) {
	each(t, func(t *testing.T, d time.Duration) {
		o := rigOptions{both: true, tweak: func(o *Options) { o.DetectWithin = d }}
		t.Run("idle", func(t *testing.T) {
			inBubble(t, o, func(r *rig) {
				r.up(time.Minute)
				r.a.Freeze()
				r.sleep(61500 * time.Millisecond)
				r.why("answer of mqtt://a is late since", "asked again")
				if took := r.down(time.Hour); took > d {
					r.Errorf("dead %v after it was late", took)
				}
				r.up(time.Second)
				if st := r.link.Status(); st.Server != "mqtt://b" || st.WorstDetect > d+10*time.Millisecond {
					r.Errorf("status: %+v", st)
				}
				r.why()
			})
		})
		t.Run("with data outstanding", func(t *testing.T) {
			inBubble(t, o, func(r *rig) {
				r.up(time.Minute)
				r.a.Freeze()
				a, err := r.link.Send(r.Context(), data(1))
				if err != nil {
					r.Fatal(err)
				}
				if took := r.down(time.Hour); took > d+10*time.Millisecond {
					r.Errorf("took %v", took)
				}
				if <-a.Done(); a.Err() == nil {
					r.Error("acknowledged by nobody")
				}
				r.up(time.Second)
				if n, err := r.link.Publish(r.Context(), data(1)); n != 1 || err != nil {
					r.Errorf("%d, %v", n, err)
				}
			})
		})
	})
}

func TestForgottenByNAT(t *testing.T) {
	for _, behaviour := range []transporttest.Behaviour{transporttest.Strict, transporttest.SYNOnly} {
		each(t, func(t *testing.T, d time.Duration) {
			t.Run(behaviour.String(), func(t *testing.T) { forgotten(t, behaviour, d) })
		})
	}
}

// A lost mapping is known soon, not only after detect_within, and the same server is dialled again at once: it answered.
func forgotten(t *testing.T, behaviour transporttest.Behaviour, d time.Duration) {
	o := rigOptions{
		nat: transporttest.NATOptions{Idle: time.Hour, Behaviour: behaviour, Latency: 50 * time.Millisecond,
			MaxRTO: netdial.RTOMax(d)},
		tweak: func(o *Options) { o.DetectWithin = d },
	}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		r.sleep(5 * time.Minute)
		r.nat.Flush()
		took := r.down(time.Hour)
		if limit := time.Minute + min(d, netdial.RTOMax(d)+4*time.Second); took > limit {
			r.Errorf("took %v, limit %v", took, limit)
		}
		r.up(time.Second)
		if n := connects(r.a); n != 2 {
			r.Errorf("%d connects", n)
		}
		if st := r.link.Status(); behaviour == transporttest.Strict && st.Bytes.Probe == 0 {
			r.Errorf("no fresh connection was tried: %+v", st)
		}
		r.sleep(2 * time.Minute)
		r.why()
	})
}

func TestPathDiesWithNowhereToGo(t *testing.T) {
	each(t, func(t *testing.T, d time.Duration) {
		o := rigOptions{
			nat:   transporttest.NATOptions{Latency: 50 * time.Millisecond, MaxRTO: netdial.RTOMax(d)},
			tweak: func(o *Options) { o.DetectWithin = d },
		}
		inBubble(t, o, func(r *rig) {
			r.up(time.Minute)
			r.nat.Cut(time.Hour)
			if took := r.down(2 * time.Hour); took > time.Minute+d+10*time.Millisecond {
				r.Errorf("took %v, want interval + detect_within", took)
			}
			r.sleep(time.Minute)
			r.why("mqtt://a", "no answer")
			r.sleep(time.Hour)
			r.up(3 * time.Minute)
		})
	})
}

// A broker that answers pings and acknowledges nothing is no broker.
func TestPublishThatIsNotAcknowledged(t *testing.T) {
	each(t, func(t *testing.T, d time.Duration) {
		mute := func(id string, m transporttest.Message) transporttest.Answer {
			if strings.HasPrefix(m.Topic, "lb/gw-1/up/data") {
				return transporttest.Mute
			}
			return transporttest.Take
		}
		o := rigOptions{a: transporttest.Hooks{OnPublish: mute}, both: true,
			tweak: func(o *Options) { o.DetectWithin, o.Interval = d, d/3 }}
		inBubble(t, o, func(r *rig) {
			r.up(time.Minute)
			if _, err := r.link.Send(r.Context(), data(1)); err != nil {
				r.Fatal(err)
			}
			if took := r.down(2 * d); took > d+100*time.Millisecond {
				r.Errorf("noticed after %v", took)
			}
			r.up(time.Second)
			st := r.link.Status()
			if st.Server != "mqtt://b" || st.Losses[faults.LossAck] != 1 {
				r.Errorf("status: %+v", st)
			}
		})
	})
}
