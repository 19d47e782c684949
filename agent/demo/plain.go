package demo

import (
	"fmt"
	"sync/atomic"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

const (
	plainKeepalive = 60 * time.Second // what many clients use; Mosquitto's library and others have it as their default
	plainConnect   = 5 * time.Second
	plainGoodbye   = 100 // ms
	plainID        = "plain-client"
	plainTopic     = "plain/cmd"
	plainQoS       = 1
)

// plain is an MQTT client as most gateways run it: the library's own pings, nothing learnt. It waits for commands. Safe for
// concurrent use.
type plain struct {
	client  mqtt.Client
	arrived atomic.Int64
}

// newPlain connects and subscribes through the NAT at addr, "127.0.0.1:40123".
func newPlain(addr string) (*plain, error) {
	p := &plain{}
	ready := make(chan error, 1)
	p.client = mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://" + addr).SetClientID(plainID).
		SetKeepAlive(plainKeepalive).SetConnectTimeout(plainConnect).
		SetOnConnectHandler(func(c mqtt.Client) { // after each reconnect too
			t := c.Subscribe(plainTopic, plainQoS, func(mqtt.Client, mqtt.Message) { p.arrived.Add(1) })
			go func() {
				t.Wait()
				select {
				case ready <- t.Error():
				default:
				}
			}()
		}))
	t := p.client.Connect()
	t.Wait()
	if err := t.Error(); err != nil {
		return nil, fmt.Errorf("plain client: %w", err)
	}
	if err := <-ready; err != nil {
		return nil, fmt.Errorf("plain client: subscribe: %w", err)
	}
	return p, nil
}

func (p *plain) close() { p.client.Disconnect(plainGoodbye) }
