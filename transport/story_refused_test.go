package transport

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// refusing is a link whose handler of dn/cmd/+ takes nothing, at a broker in memory.
type refusing struct {
	broker *transporttest.Broker
	link   *Link
	came   atomic.Int64
}

func withRefusing(t *testing.T, clean bool, prepare func(b *transporttest.Broker), f func(r *refusing)) {
	synctest.Test(t, func(t *testing.T) {
		net := transporttest.NewNetwork()
		r := &refusing{broker: transporttest.NewBroker(transporttest.Hooks{})}
		l, err := net.Listen("broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		r.broker.Serve(l)
		r.link, err = New(Options{ClientID: "gw", Servers: []Server{{URL: "mqtt://broker:1883"}}, Dial: net.Dial,
			CleanSession: clean, MaxPacket: 16 << 10, StateTopic: "up/state",
			State: func(online bool, s Session) []byte { return fmt.Appendf(nil, "%v %d", online, s.Number) }})
		if err != nil {
			t.Fatal(err)
		}
		r.link.Handle("dn/cmd/+", func(m Message, _ bool) {
			r.came.Add(1)
			r.link.Refuse(m.Size)
		})
		prepare(r.broker)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.link.Run(ctx) }()
		<-r.link.Ready()
		f(r)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		r.broker.Close()
		net.Close()
	})
}

// Everything that nobody takes is booked as refused, with our acknowledgements, and nothing else is.
func TestWhatNobodyTakesIsBookedApart(t *testing.T) {
	const n = 500
	for name, c := range map[string]struct {
		topic   string
		payload int
	}{
		"refused commands":        {"dn/cmd/meter", 100},
		"commands of many names":  {"dn/cmd/%d", 10},
		"an earlier subscription": {"old/%d", 100},
		"larger than the limit":   {"dn/cmd/meter", 20 << 10},
		"on our state topic":      {"up/state", 100},
	} {
		t.Run(name, func(t *testing.T) {
			withRefusing(t, false, func(*transporttest.Broker) {}, func(r *refusing) {
				before := r.link.Status().Bytes
				if c.topic == "old/%d" { // of the same id, before an upgrade
					r.broker.Subscribe("gw", "old/+", 1)
				}
				sent := 0
				for i := range n {
					topic := c.topic
					if topic[len(topic)-1] == 'd' {
						topic = fmt.Sprintf(c.topic, i)
					}
					r.broker.Publish(transporttest.Message{Topic: topic, Payload: make([]byte, c.payload), QoS: 1})
					sent += len(topic) + c.payload
				}
				time.Sleep(time.Second)
				synctest.Wait()
				after := r.link.Status().Bytes
				refused := int(after.Refused - before.Refused)
				if refused < sent || refused > sent+20*n {
					t.Errorf("%d bytes are booked as refused, of %d", refused, sent)
				}
				if after.Cmd != before.Cmd || after.Data != before.Data || after.Sum()-before.Sum() < int64(refused) {
					t.Errorf("%+v, %+v", before, after)
				}
			})
		})
	}
}

// The counters never shrink, whenever it turns out that something was refused.
func TestWhatIsRefusedLateIsBookedToo(t *testing.T) {
	withRefusing(t, true, func(*transporttest.Broker) {}, func(r *refusing) {
		last := r.link.Status().Bytes
		for range 50 {
			r.broker.Publish(transporttest.Message{Topic: "dn/cmd/a", Payload: make([]byte, 200), QoS: 1})
			r.link.Refuse(50) // as if each had cost more, or had been judged later
			for range 3 {
				time.Sleep(time.Millisecond)
				now := r.link.Status().Bytes
				if now.Cmd < last.Cmd || now.Refused < last.Refused || now.Sum() < last.Sum() {
					t.Fatalf("%+v after %+v", now, last)
				}
				last = now
			}
		}
	})
}

// What a server sends can be stopped: the subscriptions are let go of, in this session and in those to come, and come back.
func TestMute(t *testing.T) {
	for name, clean := range map[string]bool{"a persistent session": false, "a clean session": true} {
		t.Run(name, func(t *testing.T) {
			withRefusing(t, clean, func(*transporttest.Broker) {}, func(r *refusing) {
				came := func(when string, want bool) {
					t.Helper()
					before := r.came.Load()
					r.broker.Publish(transporttest.Message{Topic: "dn/cmd/a", Payload: []byte("x"), QoS: 1})
					time.Sleep(time.Second)
					if got := r.came.Load() > before; got != want {
						t.Errorf("%s: it came: %v", when, got)
					}
				}
				came("at first", true)
				r.link.Mute(true)
				time.Sleep(time.Second)
				came("muted", false)
				r.broker.Kick("gw")
				time.Sleep(time.Minute)
				<-r.link.Ready()
				came("muted, in the next session", false)
				r.link.Mute(false)
				time.Sleep(time.Second)
				came("again", true)
				for range 5 { // changes that come one after the other end as the last one says
					r.link.Mute(true)
					r.link.Mute(false)
				}
				r.link.Mute(true)
				time.Sleep(time.Second)
				came("muted after many changes", false)
				if st := r.link.Status(); st.Drops != 1 || st.Why != "" || len(st.Denied) != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// A link that is muted before it runs lets go of what an earlier process has subscribed to.
func TestMutedFromTheStart(t *testing.T) {
	withRefusing(t, false, func(b *transporttest.Broker) {}, func(r *refusing) {
		r.link.Mute(true)
		r.broker.Kick("gw") // the subscription may be there still
		time.Sleep(time.Minute)
		<-r.link.Ready()
		r.broker.Publish(transporttest.Message{Topic: "dn/cmd/a", Payload: []byte("x"), QoS: 1})
		time.Sleep(time.Second)
		if r.came.Load() != 0 {
			t.Error("it came")
		}
	})
}

// Thousands of retained messages at each connect are in front of nobody's acknowledgements.
func TestAFrameIsNotBehindRetainedMessages(t *testing.T) {
	const n = 3000
	withRefusing(t, true, func(b *transporttest.Broker) {
		for i := range n {
			topic := fmt.Sprintf("dn/cmd/d%d", i)
			b.Publish(transporttest.Message{Topic: topic, Payload: make([]byte, 500), QoS: 1, Retain: true})
		}
	}, func(r *refusing) {
		for range 3 {
			start := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			frame := Message{Topic: "up/data/meter", Payload: []byte("frame"), QoS: 1}
			if _, err := r.link.Publish(ctx, frame); err != nil {
				t.Fatal(err)
			}
			cancel()
			if waited := time.Since(start); waited > time.Second { // of fake time: nothing in between waits for anything
				t.Errorf("a frame waited %s", waited)
			}
			r.broker.Kick("gw")
			time.Sleep(time.Minute)
			<-r.link.Ready()
		}
		synctest.Wait()
		if came := r.came.Load(); came < 3*n {
			t.Errorf("%d came", came)
		}
		if b := r.link.Status().Bytes; b.Refused < 3*n*500 || b.Cmd != 0 {
			t.Errorf("%+v", b)
		}
	})
}
