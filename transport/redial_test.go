package transport

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// The first server dies, and is returned to once it has answered a whole CONNECT, after hold-down; nothing is lost on the way and
// at no moment is the link without a session.
func TestReturnsToTheBetterServer(t *testing.T) {
	var dead atomic.Bool
	o := rigOptions{both: true, a: transporttest.Hooks{OnConnect: func(transporttest.Connect) byte {
		if dead.Load() {
			return transporttest.ServerUnavailable
		}
		return transporttest.Accepted
	}}}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		r.sleep(10 * time.Minute)
		dead.Store(true)
		r.a.Close()
		r.serve(r.a, "a:1883")
		r.up(30 * time.Second)
		if st := r.link.Status(); st.Server != "mqtt://b" || st.Losses[faults.LossClosed] != 1 {
			r.Fatalf("status: %+v", st)
		}
		r.sleep(20 * time.Minute)
		if n := connects(r.a); n < 2 || n > 9 {
			r.Errorf("the dead server was asked %d times in 20 minutes", n-1)
		}
		st := r.link.Status()
		if st.Server != "mqtt://b" || st.Sessions != 2 || st.Redials != 0 {
			r.Fatalf("status: %+v", st)
		}
		dead.Store(false)
		for i, start := 0, time.Now(); r.link.Status().Server != "mqtt://a"; i++ {
			if _, err := r.link.Publish(r.Context(), data(i)); err != nil {
				r.Fatal(err)
			}
			if r.sleep(time.Second); time.Since(start) > 2*longestRest {
				r.Fatalf("not back: %+v", r.link.Status())
			}
		}
		r.sleep(10 * time.Second)
		if st := r.link.Status(); st.Drops != 1 || st.Redials != 1 || st.Sessions != 3 || st.State != StateUp {
			r.Errorf("status: %+v", st)
		}
		if got, _ := r.b.Retained(rigState); !strings.Contains(string(got.Payload), "false") {
			r.Errorf("the other server thinks that we are online: %s", got.Payload)
		}
		if got, _ := r.a.Retained(rigState); !strings.Contains(string(got.Payload), "true") {
			r.Errorf("the server thinks that we are offline: %s", got.Payload)
		}
	})
}

const longestRest = 10 * time.Minute // of a server that failed

// Both servers are nodes of one cluster: the new session closes the old one before it is taken over.
func TestReturnsWithinACluster(t *testing.T) {
	var cluster atomic.Pointer[rig]
	var dead atomic.Bool
	o := rigOptions{both: true, a: transporttest.Hooks{OnConnect: func(c transporttest.Connect) byte {
		if dead.Load() {
			return transporttest.ServerUnavailable
		}
		if r := cluster.Load(); r != nil && c.ClientID == rigID {
			r.b.Kick(rigID)
		}
		return transporttest.Accepted
	}}}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		r.sleep(10 * time.Minute)
		dead.Store(true)
		r.a.Close()
		r.serve(r.a, "a:1883")
		r.up(30 * time.Second)
		r.sleep(time.Minute)
		dead.Store(false)
		cluster.Store(r)
		for start := time.Now(); r.link.Status().Server != "mqtt://a"; r.sleep(time.Second) {
			if time.Since(start) > 2*longestRest {
				r.Fatalf("not back: %+v", r.link.Status())
			}
		}
		r.sleep(10 * time.Second)
		if st := r.link.Status(); st.Drops != 1 || st.Redials != 1 || st.State != StateUp || st.Why != "" {
			r.Errorf("status: %+v", st)
		}
	})
}

func TestMaxSession(t *testing.T) {
	o := rigOptions{tweak: func(o *Options) { o.MaxSession = time.Hour }}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		for i := range 600 {
			if _, err := r.link.Publish(r.Context(), data(i)); err != nil && !errors.Is(err, ErrLost) {
				r.Fatal(err)
			}
			r.sleep(time.Minute)
		}
		st := r.link.Status()
		if st.Redials < 9 || st.Redials > 10 || st.Drops != 0 || st.State != StateUp {
			r.Errorf("status: %+v", st)
		}
		if n := len(r.a.Published("lb/gw-1/up/data/#")); n != 600 {
			r.Errorf("%d messages arrived", n)
		}
	})
}

// A link that is never quiet returns all the same, and its loop does not spin meanwhile.
func TestReturnsUnderLoad(t *testing.T) {
	o := rigOptions{both: true, nat: transporttest.NATOptions{Latency: 100 * time.Millisecond}}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		r.a.Freeze()
		r.down(3 * time.Minute)
		r.up(time.Minute)
		r.a.Thaw()
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(20 * time.Millisecond): // always some in flight
				}
				if _, err := r.link.Send(r.Context(), data(i)); err != nil {
					r.Error(err)
					return
				}
			}
		}()
		for start := time.Now(); r.link.Status().Server != "mqtt://a"; r.sleep(time.Second) {
			if time.Since(start) > 20*time.Minute {
				r.Fatalf("not back: %+v", r.link.Status())
			}
		}
		close(stop)
		<-done
		if st := r.link.Status(); st.Redials != 1 || st.Drops != 1 {
			r.Errorf("%+v", st)
		}
	})
}
