package transport

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// A person asks for another connection while there is one: it is up to TLS before the old one is let go, and no message is lost.
func TestReconnectWhileUpLosesNothing(t *testing.T) {
	inBubble(t, rigOptions{tweak: func(o *Options) { o.MaxSession = 10 * time.Hour }}, func(r *rig) {
		r.up(time.Minute)
		for i := range 50 {
			if _, err := r.link.Publish(r.Context(), data(i)); err != nil {
				r.Fatal(err)
			}
			if i%10 == 5 {
				if planned, err := r.link.Reconnect(r.Context()); err != nil || !planned {
					r.Errorf("planned %v, %v", planned, err)
				}
			}
			r.sleep(time.Second)
		}
		if st := r.link.Status(); st.Redials != 5 || st.Sessions != 6 || st.Drops != 0 || st.State != StateUp || st.Why != "" {
			r.Errorf("status: %+v", st)
		}
		if n := len(r.a.Published("lb/gw-1/up/data/#")); n != 50 {
			r.Errorf("%d messages arrived", n)
		}
	})
}

// While there is none it is tried at once, whatever is held against the server.
func TestReconnectWhileDownDialsAtOnce(t *testing.T) {
	var dead atomic.Bool
	dead.Store(true)
	o := rigOptions{a: transporttest.Hooks{OnConnect: func(transporttest.Connect) byte {
		if dead.Load() {
			return transporttest.BadCredentials
		}
		return transporttest.Accepted
	}}}
	inBubble(t, o, func(r *rig) {
		r.sleep(time.Hour)
		short, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		before := connects(r.a)
		if planned, err := r.link.Reconnect(short); planned || !errors.Is(err, context.DeadlineExceeded) ||
			connects(r.a) != before+1 {
			r.Errorf("planned %v, %v, %d attempts", planned, err, connects(r.a)-before)
		}
		dead.Store(false)
		start := time.Now()
		if planned, err := r.link.Reconnect(r.Context()); err != nil || planned || time.Since(start) > time.Second {
			r.Errorf("planned %v, %v after %v", planned, err, time.Since(start))
		}
	})
}

// Where the new connection cannot be had the old one goes on, who asked is told, and it is not tried again by itself.
func TestReconnectThatFailsKeepsTheSession(t *testing.T) {
	var dead atomic.Bool
	dials := atomic.Int64{}
	o := rigOptions{tweak: func(o *Options) {
		dial := o.Dial
		o.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			dials.Add(1)
			if dead.Load() {
				return nil, errors.New("the way is closed")
			}
			return dial(ctx, network, addr)
		}
	}}
	inBubble(t, o, func(r *rig) {
		r.up(time.Minute)
		dead.Store(true)
		before := dials.Load()
		if planned, err := r.link.Reconnect(r.Context()); !planned || err == nil ||
			!strings.Contains(err.Error(), "the way is closed") {
			r.Errorf("planned %v, %v", planned, err)
		}
		r.sleep(5 * time.Hour)
		if st := r.link.Status(); st.State != StateUp || st.Sessions != 1 || st.Redials != 0 || st.Drops != 0 ||
			dials.Load() != before+1 {
			r.Errorf("status: %+v, %d dials", st, dials.Load()-before)
		}
		dead.Store(false)
		if _, err := r.link.Reconnect(r.Context()); err != nil || r.link.Status().Redials != 1 {
			r.Errorf("%v, %+v", err, r.link.Status())
		}
	})
}

// Two who ask at once have one new connection, and it counts for a re-dial that was due anyway too.
func TestReconnectOfTwoIsOne(t *testing.T) {
	inBubble(t, rigOptions{}, func(r *rig) {
		r.up(time.Minute)
		done := make(chan error, 2)
		for range 2 {
			go func() { _, err := r.link.Reconnect(r.Context()); done <- err }()
		}
		if err := errors.Join(<-done, <-done); err != nil {
			r.Error(err)
		}
		r.sleep(time.Minute)
		if st := r.link.Status(); st.Redials != 1 || st.Sessions != 2 || st.State != StateUp {
			r.Errorf("status: %+v", st)
		}
	})
}

func TestReconnectOfALinkThatStopped(t *testing.T) {
	inBubble(t, rigOptions{}, func(r *rig) {
		r.up(time.Minute)
		r.stop()
		if _, err := r.link.Reconnect(r.Context()); !errors.Is(err, ErrStopped) {
			r.Errorf("%v", err)
		}
	})
}
