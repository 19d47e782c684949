package transport

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// One message beyond the limit must not keep a gateway offline: it is dropped, counted and acknowledged, so that a persistent
// session does not bring it again, and what comes behind it arrives on the same connection.
func TestAnOversizedMessageIsReadPastAndAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, broker := transporttest.NewNetwork(), transporttest.NewBroker(transporttest.Hooks{})
		defer net.Close()
		defer broker.Close()
		listener, err := net.Listen("broker:1883")
		if err != nil {
			t.Fatal(err)
		}
		broker.Serve(listener)
		var kinds []EventKind
		link, err := New(Options{ClientID: "gw", Servers: []Server{{URL: "mqtt://broker:1883"}}, MaxPacket: 4 << 10,
			Dial: net.Dial, Notify: func(e Event) { kinds = append(kinds, e.Kind) }})
		if err != nil {
			t.Fatal(err)
		}
		got := make(chan int, 10)
		link.Handle("dn/#", func(m Message, _ bool) { got <- len(m.Payload) })
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { ended <- link.Run(ctx) }()
		<-link.Ready()
		for _, size := range []int{10, 300 << 10, 11, 5 << 10, 12} {
			broker.Publish(transporttest.Message{Topic: "dn/cmd", Payload: make([]byte, size), QoS: 1})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for _, want := range []int{10, 11, 12} {
			if n := <-got; n != want {
				t.Fatalf("%d bytes, want %d", n, want)
			}
		}
		st := link.Status()
		if st.Oversized != 2 || st.Drops != 0 || st.Sessions != 1 {
			t.Fatalf("%+v", st)
		}
		broker.Kick("gw") // nothing may be left for the next session
		time.Sleep(time.Minute)
		if st := link.Status(); st.Oversized != 2 || st.Sessions != 2 || len(got) != 0 {
			t.Fatalf("came again: %+v, %d", st, len(got))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	})
}
