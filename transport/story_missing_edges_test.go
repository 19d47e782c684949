package transport

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// What acknowledges nothing at all is left within detect_within, as ever, and so is what acknowledges our state only.
func TestAServerThatAcknowledgesNothing(t *testing.T) {
	for name, spared := range map[string]string{"nothing": "none", "but our state": rigState} {
		each(t, func(t *testing.T, d time.Duration) {
			t.Run(name, func(t *testing.T) {
				mute := func(_ string, m transporttest.Message) transporttest.Answer {
					if m.Topic == spared {
						return transporttest.Take
					}
					return transporttest.Mute
				}
				o := rigOptions{a: transporttest.Hooks{OnPublish: mute}, both: true,
					tweak: func(o *Options) { o.DetectWithin, o.Interval = d, d/3 }}
				inBubble(t, o, func(r *rig) {
					r.up(time.Minute)
					k, start := &keeper{rig: r}, time.Now()
					for i := 0; r.link.Status().Drops == 0 && time.Since(start) < 3*d; i++ {
						k.send(data(i))
						r.sleep(time.Second)
					}
					if took := time.Since(start); took > d+1200*time.Millisecond {
						r.Errorf("noticed after %v", took)
					}
					r.up(time.Second)
					if st := r.link.Status(); st.Server != "mqtt://b" || st.Losses[faults.LossAck] != 1 {
						r.Errorf("status: %+v", st)
					}
				})
			})
		})
	}
}

// Acknowledgements in another order, and late ones, are no missing ones.
func TestAServerThatAcknowledgesInReverse(t *testing.T) {
	var mu sync.Mutex
	var waiting []func()
	hooks := transporttest.Hooks{OnPuback: func(_ string, m transporttest.Message, send func()) {
		if !strings.HasPrefix(m.Topic, "lb/gw-1/up/data") {
			send()
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if waiting = append(waiting, send); len(waiting) == 16 {
			for i := range waiting {
				waiting[len(waiting)-1-i]()
			}
			waiting = nil
		}
	}}
	o := rigOptions{a: hooks, tweak: func(o *Options) { o.DetectWithin = 10 * time.Second }}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		k := &keeper{rig: r}
		for i := range 1600 {
			k.send(data(i))
			r.sleep(50 * time.Millisecond)
			r.why()
		}
		if arrived, again := k.counts(); arrived != 1600 || again != 0 {
			r.Errorf("%d, %d again", arrived, again)
		}
		if st := r.link.Status(); st.Redials != 0 || st.Drops != 0 || st.Unacknowledged != 0 {
			r.Errorf("status: %+v", st)
		}
	})
}

// A server that acknowledges each when it likes, within seconds, is none that forgets: at whatever rate, nothing comes twice.
func TestAServerThatAcknowledgesWhenItLikes(t *testing.T) {
	for _, longest := range []time.Duration{3 * time.Second, 8 * time.Second} {
		t.Run(longest.String(), func(t *testing.T) {
			hooks := transporttest.Hooks{OnPuback: func(_ string, m transporttest.Message, send func()) {
				n := len(m.Payload)
				for _, c := range m.Payload {
					n = n*31 + int(c)
				}
				time.AfterFunc(longest*time.Duration(n%97)/97, send)
			}}
			o := rigOptions{a: hooks, tweak: func(o *Options) { o.DetectWithin = 30 * time.Second }}
			inBubble(t, o, func(r *rig) {
				r.up(time.Minute)
				k, sent := &keeper{rig: r}, 0
				for start := time.Now(); time.Since(start) < 5*time.Minute; r.sleep(20 * time.Millisecond) {
					if k.tend() && len(k.open) < 200 {
						k.send(data(sent))
						sent++
					}
				}
				arrived, again := k.counts()
				r.Logf("%d sent, %d arrived, %d again, %+v", sent, arrived, again, r.link.Status())
				if st := r.link.Status(); again != 0 || st.Redials != 0 || st.Drops != 0 || st.Why != "" {
					r.Errorf("%d again, %+v", again, st)
				}
			})
		})
	}
}

// An acknowledgement that comes after detect_within counts while the session that is to be replaced still lives.
func TestALateAcknowledgementCounts(t *testing.T) {
	const d = 10 * time.Second
	hooks := transporttest.Hooks{OnPuback: func(_ string, m transporttest.Message, send func()) {
		if string(m.Payload) == "5" {
			time.AfterFunc(d+200*time.Millisecond, send)
			return
		}
		send()
	}}
	o := rigOptions{a: hooks, nat: transporttest.NATOptions{Latency: 300 * time.Millisecond},
		tweak: func(o *Options) { o.DetectWithin = d }}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		k := &keeper{rig: r}
		for i := range 60 {
			k.send(data(i))
			r.sleep(time.Second)
		}
		if arrived, again := k.counts(); arrived != 60 || again != 0 {
			r.Errorf("%d arrived, %d again", arrived, again)
		}
		if st := r.link.Status(); st.Drops != 0 || st.Redials > 1 {
			r.Errorf("status: %+v", st)
		}
	})
}

// The nonces of probes, the reports and the birth are publishes too: what nobody sends again is given up, and costs no session.
func TestWhatNobodySendsAgainIsGivenUp(t *testing.T) {
	hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		if strings.HasPrefix(m.Topic, "lb/gw-1/dn/probe") {
			return transporttest.Mute
		}
		return transporttest.Take
	}}
	o := rigOptions{a: hooks, both: true, tweak: func(o *Options) { o.DetectWithin = 10 * time.Second }}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		s, _ := r.link.health.current()
		for i := range 10 {
			a, err := mainLink{s}.Publish(r.Context(), "lb/gw-1/dn/probe/1", []byte{byte(i)})
			if err != nil {
				r.Fatal(err)
			}
			began := time.Now()
			<-a.Done()
			if took := time.Since(began); !errors.Is(a.Err(), ErrUnacknowledged) || took > 11*time.Second {
				r.Errorf("%v after %v", a.Err(), took)
			}
			r.sleep(time.Minute)
		}
		if st := r.link.Status(); st.Drops != 0 || st.Redials != 0 || st.Server != "mqtt://a" || st.InFlight != 0 {
			r.Errorf("status: %+v", st)
		}
		r.why(missingSentence)
	})
}

// A SUBSCRIBE or UNSUBSCRIBE that is never answered while publishes are acknowledged has its deadline too.
func TestAnUnansweredSubscribe(t *testing.T) {
	var mu sync.Mutex
	deaf := false
	set := func(to bool) { mu.Lock(); deaf = to; mu.Unlock() }
	hooks := transporttest.Hooks{OnSuback: func(string) bool { mu.Lock(); defer mu.Unlock(); return !deaf }}
	o := rigOptions{a: hooks, tweak: func(o *Options) { o.DetectWithin = 10 * time.Second }}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		k := &keeper{rig: r}
		for _, muted := range []bool{true, false} {
			set(true)
			r.link.Mute(muted)
			before := r.link.Status().Redials
			start := time.Now()
			for i := 0; r.link.Status().Redials == before && time.Since(start) < time.Minute; i++ {
				k.send(data(i))
				if r.sleep(time.Second); i == 7 {
					r.why(missingSentence)
					set(false)
				}
			}
			if took := time.Since(start); took < 9*time.Second || took > 45*time.Second {
				r.Errorf("re-dialled after %v", took)
			}
			r.sleep(time.Minute)
		}
		r.a.Publish(transporttest.Message{Topic: "lb/gw-1/dn/cmd/x", Payload: []byte("x"), QoS: 1})
		r.sleep(time.Second)
		select {
		case <-r.got:
		default:
			r.Error("commands are not heard")
		}
		if st := r.link.Status(); st.Drops != 0 {
			r.Errorf("status: %+v", st)
		}
	})
}

// A console's messages that are missing come again, in order, and those behind them do not.
func TestOrderedPastWhatIsMissing(t *testing.T) {
	var count nth
	hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		if n := count.next(m); n == 5 || n == 9 {
			return transporttest.Drop
		}
		return transporttest.Take
	}}
	o := rigOptions{a: hooks, tweak: func(o *Options) { o.DetectWithin = 10 * time.Second }}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		ordered := r.link.Ordered()
		for i := 1; i <= 60; i++ {
			if err := ordered.Send(r.Context(), data(i)); err != nil {
				r.Fatal(err)
			}
			r.sleep(100 * time.Millisecond)
		}
		for range 20 {
			if done, err := ordered.Tend(r.Context()); done || err != nil {
				break
			}
			r.sleep(time.Second)
		}
		var late []string
		for _, m := range r.a.Published("lb/gw-1/up/data/#")[58:] {
			late = append(late, string(m.Payload))
		}
		if got := strings.Join(late, " "); got != "5 9" {
			r.Errorf("came late: %q", got)
		}
	})
}
