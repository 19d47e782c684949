package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/codec"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

func TestDayOfSilence(t *testing.T) {
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Idle: 90 * time.Second, Latency: 100 * time.Millisecond}}, func(r *rig) {
		r.up(time.Minute)
		r.sleep(24*time.Hour + 30*time.Second)
		st := r.link.Status()
		if st.Drops != 0 || st.Sessions != 1 || st.State != StateUp {
			r.Errorf("after a day: %+v", st)
		}
		if pings := r.a.Pings(rigID); pings != 1440 || st.Pings != int64(pings) {
			r.Errorf("a day of beats of 60 s: %d pings arrived, %d counted", pings, st.Pings)
		}
		if st.RTT != 200*time.Millisecond {
			r.Errorf("round trip is %v", st.RTT)
		}
		if st.Bytes.Ping != 4*st.Pings || st.Bytes.Overhead != 0 {
			r.Errorf("ledger: %+v", st.Bytes)
		}
		c := r.nat.Counters()
		if got := c.UpBytes + c.DownBytes; got != st.Bytes.Sum() {
			r.Errorf("%d bytes passed the NAT, ledger has %d", got, st.Bytes.Sum())
		}
		if c := r.a.Connects()[0]; c.Keepalive != 1170 || c.Will == nil || !c.Will.Retain || c.Clean {
			r.Errorf("CONNECT: %+v", c)
		}
		r.why()
	})
}

func TestBothWays(t *testing.T) {
	inBubble(t, rigOptions{}, func(r *rig) {
		r.up(time.Minute)
		var batch []Message
		for i := range 500 {
			batch = append(batch, data(i))
		}
		if n, err := r.link.Publish(r.Context(), batch...); n != 500 || err != nil {
			r.Fatalf("%d acknowledged, %v", n, err)
		}
		for i, m := range r.a.Published("lb/gw-1/up/data/#") {
			if string(m.Payload) != fmt.Sprint(i) {
				r.Fatalf("message %d is %q", i, m.Payload)
			}
		}
		r.a.Publish(transporttest.Message{Topic: "lb/gw-1/dn/cmd/x", Payload: []byte("go"), QoS: 1})
		if m := <-r.got; string(m.Payload) != "go" || m.Topic != "lb/gw-1/dn/cmd/x" {
			r.Errorf("got %+v", m)
		}
		a, err := r.link.Send(r.Context(), Message{Topic: "lb/gw-1/up/stats", Payload: []byte("{}"), Cause: CauseLog})
		if err != nil {
			r.Fatal(err)
		}
		<-a.Done()
		if a.Err() != nil {
			r.Errorf("QoS 0: %v", a.Err())
		}
		if st := r.link.Status(); st.InFlight != 0 || st.Bytes.Cmd == 0 || st.Bytes.Log == 0 {
			r.Errorf("status: %+v", st)
		}
	})
}

func TestEndInOrder(t *testing.T) {
	inBubble(t, rigOptions{nat: transporttest.NATOptions{Latency: 200 * time.Millisecond}}, func(r *rig) {
		r.up(time.Minute)
		a, err := r.link.Send(r.Context(), data(1))
		if err != nil {
			r.Fatal(err)
		}
		start := time.Now()
		r.stop()
		if took := time.Since(start); took > 3*time.Second {
			r.Errorf("took %v", took)
		}
		if <-a.Done(); a.Err() != nil {
			r.Errorf("what was in flight: %v", a.Err())
		}
		if m, _ := r.a.Retained(rigState); !strings.Contains(string(m.Payload), `"online":false`) || m.From != rigID {
			r.Errorf("state: %s", m.Payload)
		}
		if n := len(r.a.Published(rigState)); n != 2 {
			r.Errorf("%d states were published, want birth and end and no will", n)
		}
		if _, err := r.link.Send(r.Context(), data(2)); !errors.Is(err, ErrStopped) {
			r.Errorf("Send after the end: %v", err)
		}
	})
}

func TestWindow(t *testing.T) {
	mute := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		if m.Topic == rigState {
			return transporttest.Take
		}
		return transporttest.Mute
	}}
	inBubble(t, rigOptions{a: mute, tweak: func(o *Options) { o.Window = 4 }}, func(r *rig) {
		r.up(time.Minute)
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		n, err := r.link.Publish(ctx, data(0), data(1), data(2), data(3), data(4), data(5))
		if n != 0 || !errors.Is(err, context.DeadlineExceeded) {
			r.Errorf("%d acknowledged, %v", n, err)
		}
		if got := len(r.a.Published("lb/gw-1/up/data/#")); got != 4 {
			r.Errorf("%d arrived, want the window of 4", got)
		}
		if st := r.link.Status(); st.InFlight != 4 || st.Drops != 0 {
			r.Errorf("status: %+v", st)
		}
	})
}

func TestAcknowledgedPrefix(t *testing.T) {
	hooks := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		if string(m.Payload) == "3" {
			return transporttest.HangUp
		}
		return transporttest.Take
	}}
	inBubble(t, rigOptions{a: hooks}, func(r *rig) {
		r.up(time.Minute)
		n, err := r.link.Publish(r.Context(), data(0), data(1), data(2), data(3), data(4))
		if n > 3 || !errors.Is(err, ErrLost) { // an RST may overtake what was acknowledged
			r.Errorf("%d acknowledged, %v", n, err)
		}
		if got := len(r.a.Published("lb/gw-1/up/data/#")); got > 4 {
			r.Errorf("%d arrived: something was sent again", got)
		}
	})
}

func TestTooLargeIsSaidAtOnce(t *testing.T) {
	inBubble(t, rigOptions{tweak: func(o *Options) { o.MaxPacket = 2048 }}, func(r *rig) {
		r.up(time.Minute)
		m := Message{Topic: "t", Payload: make([]byte, 2048), QoS: 1}
		if _, err := r.link.Send(r.Context(), m); !errors.Is(err, ErrTooLarge) {
			r.Errorf("got %v", err)
		}
		m.Payload = m.Payload[:2048-codec.PublishSize("t", 200, 1)+200]
		if n, err := r.link.Publish(r.Context(), m); n != 1 || err != nil {
			r.Errorf("packet of exactly the limit: %d, %v", n, err)
		}
	})
}

func TestNothingToSendTo(t *testing.T) {
	inBubble(t, rigOptions{tweak: func(o *Options) { o.Servers[0].URL = "mqtt://nobody" }}, func(r *rig) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		if _, err := r.link.Send(ctx, data(0)); !errors.Is(err, context.DeadlineExceeded) {
			r.Errorf("Send: %v", err)
		}
		r.sleep(time.Hour)
		r.why("mqtt://nobody", "connection refused", "next attempt")
		if got := r.kinds(); got != "dial_failed" {
			r.Errorf("an hour of the same failure: events %s", got)
		}
	})
}

func TestStuckLinkWithFullBuffers(t *testing.T) {
	inBubble(t, rigOptions{both: true, tweak: func(o *Options) { o.DetectWithin = 6 * time.Second }}, func(r *rig) {
		r.up(time.Minute)
		r.a.Freeze()
		ctx, cancel := context.WithCancel(r.Context())
		go func() {
			for range 20 {
				_, _ = r.link.Send(ctx, Message{Topic: "lb/gw-1/up/data/x", Payload: make([]byte, 100<<10), QoS: 1})
			}
		}()
		took := r.down(time.Minute)
		if took > 6100*time.Millisecond {
			r.Errorf("took %v", took)
		}
		r.up(time.Second)
		cancel()
		if st := r.link.Status(); st.Server != "mqtt://b" || st.WorstDetect > 6100*time.Millisecond || st.WorstDetect == 0 {
			r.Errorf("status: %+v", st)
		}
		r.a.Thaw()
		synctest.Wait()
	})
}

func TestEndWhileStuck(t *testing.T) {
	inBubble(t, rigOptions{}, func(r *rig) {
		r.up(time.Minute)
		r.a.Freeze()
		for range 20 {
			if _, err := r.link.Send(r.Context(), Message{Topic: "lb/gw-1/up/data/x", Payload: make([]byte, 100<<10),
				QoS: 1}); err != nil {
				r.Fatal(err)
			}
		}
		r.sleep(500 * time.Millisecond)
		start := time.Now()
		r.stop()
		if took := time.Since(start); took > 3*time.Second { // 2 s, and a call of the library that nobody took up
			r.Errorf("took %v", took)
		}
	})
}
