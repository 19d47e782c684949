package demo

import (
	"bytes"
	"fmt"
	"log/slog"

	mqtt "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"
)

// sysTopicsSeconds keeps the broker's own statistics out of the way.
const sysTopicsSeconds = 3600

// broker is mochi-mqtt on loopback, open to every user of this machine.
type broker struct {
	server *mqtt.Server
	addr   string // 127.0.0.1:40123
}

// open lets every client do everything: the library's own hook for that would pull in a second YAML package.
type open struct{ mqtt.HookBase }

// ID implements mqtt.Hook.
func (*open) ID() string { return "open" }

// Provides implements mqtt.Hook.
func (*open) Provides(event byte) bool {
	return event == mqtt.OnConnectAuthenticate || event == mqtt.OnACLCheck
}

// OnConnectAuthenticate implements mqtt.Hook.
func (*open) OnConnectAuthenticate(*mqtt.Client, packets.Packet) bool { return true }

// OnACLCheck implements mqtt.Hook.
func (*open) OnACLCheck(*mqtt.Client, string, bool) bool { return true }

// newBroker starts a broker on a free port.
func newBroker() (*broker, error) {
	s := mqtt.New(&mqtt.Options{InlineClient: true, Logger: slog.New(slog.DiscardHandler),
		SysTopicResendInterval: sysTopicsSeconds})
	if err := s.AddHook(new(open), nil); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "demo", Address: "127.0.0.1:0"})
	if err := s.AddListener(l); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	if err := s.Serve(); err != nil {
		return nil, fmt.Errorf("broker: %w", err)
	}
	return &broker{server: s, addr: l.Address()}, nil
}

// watch calls f with each message under filter, in order for one publisher; f must not block.
func (b *broker) watch(id int, filter string, f func(topic string, payload []byte)) error {
	return b.server.Subscribe(filter, id, func(_ *mqtt.Client, _ packets.Subscription, pk packets.Packet) {
		f(pk.TopicName, bytes.Clone(pk.Payload))
	})
}

// publish sends a message to the clients that are subscribed now, with QoS 1.
func (b *broker) publish(topic string, payload []byte) error {
	return b.server.Publish(topic, payload, false, 1)
}

func (b *broker) close() { _ = b.server.Close() }
