package transport

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

func TestServerThatDoesNotAnswer(t *testing.T) {
	t.Run("CONNECT", func(t *testing.T) {
		inBubble(t, rigOptions{later: true, both: true}, func(r *rig) {
			r.a.Freeze()
			r.start()
			r.up(31 * time.Second)
			if st := r.link.Status(); st.Server != "mqtt://b" || st.Drops != 0 {
				r.Errorf("status: %+v", st)
			}
			if got := r.kinds(); got != "dial_failed up" {
				r.Errorf("events %s", got)
			}
		})
	})
	t.Run("SUBSCRIBE", func(t *testing.T) {
		var release chan struct{} // of the bubble
		hooks := transporttest.Hooks{OnSubscribe: func(string, string) byte { <-release; return 0 }}
		inBubble(t, rigOptions{a: hooks, later: true,
			tweak: func(o *Options) { o.DetectWithin = 10 * time.Second }}, func(r *rig) {
			release = make(chan struct{})
			defer close(release)
			r.start()
			r.sleep(11 * time.Second)
			r.why("mqtt://a", "no answer")
			if st := r.link.Status(); st.Sessions != 0 {
				r.Errorf("status: %+v", st)
			}
		})
	})
}

func TestMoreFiltersThanOneSubscribeTakes(t *testing.T) {
	inBubble(t, rigOptions{later: true}, func(r *rig) {
		got := make(chan string, 100)
		for i := range 20 {
			r.link.Handle(fmt.Sprintf("dn/%d", i), func(m Message, _ bool) { got <- m.Topic })
		}
		r.start()
		r.up(time.Second)
		for i := range 20 {
			topic := fmt.Sprintf("dn/%d", i)
			r.a.Publish(transporttest.Message{Topic: topic, QoS: 1})
			if g := <-got; g != topic {
				r.Errorf("got %s, want %s", g, topic)
			}
		}
	})
}

func TestPasswordThatCannotBeRead(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	o := rigOptions{tweak: func(o *Options) {
		o.Servers[0].Username = "gw"
		o.Servers[0].Password = func() (string, error) {
			if broken.Load() {
				return "", fmt.Errorf("no such file")
			}
			return "secret", nil
		}
	}}
	inBubble(t, o, func(r *rig) {
		r.sleep(time.Second)
		r.why("password for mqtt://a: no such file")
		broken.Store(false)
		r.up(5 * time.Minute)
		if c := r.a.Connects()[0]; c.Username != "gw" || c.Password != "secret" {
			r.Errorf("CONNECT: %+v", c)
		}
	})
}

func TestChangedRoutesEndTheWaiting(t *testing.T) {
	inBubble(t, rigOptions{}, func(r *rig) {
		r.up(time.Second)
		r.nat.Cut(time.Hour)
		r.sleep(time.Hour - time.Second)
		r.nat.Cut(0)
		r.sleep(0)
		r.link.Routed()
		ctx, cancel := context.WithTimeout(r.Context(), 40*time.Second)
		defer cancel()
		if _, err := r.link.Publisher(ctx); err != nil {
			r.Errorf("%v: %+v", err, r.link.Status())
		}
	})
}
