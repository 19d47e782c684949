package transport

import (
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"github.com/linkbeat/linkbeat/transport/brokertest"
)

// BenchmarkSend is QoS 1 publishes of 100 bytes to mosquitto with a window of 32: by the link, and by the bare library, which
// is the limit.
func BenchmarkSend(b *testing.B) {
	m := brokertest.Start(b, brokertest.Plain)
	message := Message{Topic: "bench", Payload: make([]byte, 100), QoS: 1}
	b.Run("link", func(b *testing.B) {
		l, err := New(Options{ClientID: "bench-link", Servers: []Server{{URL: URL("mqtt://" + m.Addr())}}, CleanSession: true})
		if err != nil {
			b.Fatal(err)
		}
		runLink(b, l)
		awaitUp(b, l)
		var last *Ack
		for b.Loop() {
			if last, err = l.Send(b.Context(), message); err != nil {
				b.Fatal(err)
			}
		}
		<-last.Done()
	})
	b.Run("paho", func(b *testing.B) {
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + m.Addr()).SetClientID("bench-paho"))
		if t := c.Connect(); !t.WaitTimeout(patience) || t.Error() != nil {
			b.Fatal(t.Error())
		}
		defer c.Disconnect(100)
		window := make(chan struct{}, defaultWindow)
		var open atomic.Int64
		for b.Loop() {
			window <- struct{}{}
			open.Add(1)
			t := c.Publish(message.Topic, 1, false, message.Payload)
			go func() { <-t.Done(); <-window; open.Add(-1) }()
		}
		for open.Load() > 0 {
			<-time.After(time.Millisecond)
		}
	})
}
