package kit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"os"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// Arrival is one PUBLISH that the collector got. Dup is the broker's mark of a repeated delivery to the collector: it
// says nothing about the agent.
type Arrival struct {
	At            time.Time
	Topic         string
	Payload       []byte
	Dup, Retained bool
}

// CollectOptions choose where a collector subscribes.
type CollectOptions struct {
	URL     string
	ID      string
	User    string // if empty, none
	Filters []string
	Dial    DialFunc // if nil, from our own namespace
	Certs   *Certs   // for mqtts
}

// Collector is a subscriber with QoS 1 and a session that the broker keeps, so that nothing is lost while either of
// them is away. It can publish as well.
type Collector struct {
	client mqtt.Client

	mu   sync.Mutex
	got  []Arrival
	size int
}

// Collect connects a collector and returns when it is subscribed.
func (e *Env) Collect(o CollectOptions) (*Collector, error) {
	c := &Collector{}
	opts := mqtt.NewClientOptions().AddBroker(o.URL).SetClientID(o.ID).SetUsername(o.User).SetProtocolVersion(4).
		SetCleanSession(false).SetResumeSubs(true).SetOrderMatters(true).SetKeepAlive(30 * time.Second).
		SetAutoReconnect(true).SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond).
		SetMaxReconnectInterval(200 * time.Millisecond).SetConnectTimeout(5 * time.Second)
	if o.Dial != nil {
		opts.SetCustomOpenConnectionFn(func(u *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
			return o.Dial(e.Ctx, "tcp", u.Host)
		})
	}
	if o.Certs != nil {
		t, err := o.Certs.client()
		if err != nil {
			return nil, err
		}
		opts.SetTLSConfig(t)
	}
	opts.SetDefaultPublishHandler(c.handle)
	c.client = mqtt.NewClient(opts)
	if err := wait(e.Ctx, c.client.Connect(), "connect"); err != nil {
		return nil, err
	}
	e.Defer(c.Close)
	for _, f := range o.Filters {
		if err := wait(e.Ctx, c.client.Subscribe(f, 1, c.handle), "subscribe to "+f); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Certs) client() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	if err != nil {
		return nil, fmt.Errorf("client certificate: %w", err)
	}
	pem, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

func wait(ctx context.Context, t mqtt.Token, what string) error {
	select {
	case <-t.Done():
	case <-time.After(10 * time.Second):
		return fmt.Errorf("collector: %s: no answer in 10 s", what)
	case <-ctx.Done():
		return fmt.Errorf("collector: %s: %w", what, ctx.Err())
	}
	if err := t.Error(); err != nil {
		return fmt.Errorf("collector: %s: %w", what, err)
	}
	return nil
}

func (c *Collector) handle(_ mqtt.Client, m mqtt.Message) {
	a := Arrival{time.Now(), m.Topic(), m.Payload(), m.Duplicate(), m.Retained()}
	if a.tries() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, a)
	c.size += len(m.Payload())
}

// Arrivals returns what came so far, in order; with a topic, only what came on it or on its /gz.
func (c *Collector) Arrivals(topics ...string) []Arrival {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(topics) == 0 {
		return append([]Arrival(nil), c.got...)
	}
	var some []Arrival
	for _, a := range c.got {
		for _, t := range topics {
			if a.Topic == t || a.Topic == t+"/gz" {
				some = append(some, a)
			}
		}
	}
	return some
}

// Close disconnects; its session stays at the broker.
func (c *Collector) Close() { c.client.Disconnect(50) }

// Forget what came so far.
func (c *Collector) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got, c.size = nil, 0
}

// Count of arrivals so far.
func (c *Collector) Count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.got)
}

// Subscribe adds a filter and waits for the SUBACK; a refusal is an error.
func (c *Collector) Subscribe(ctx context.Context, filter string) error {
	return wait(ctx, c.client.Subscribe(filter, 1, c.handle), "subscribe to "+filter)
}

// Publish sends with QoS 1 and waits for the PUBACK.
func (c *Collector) Publish(ctx context.Context, topic string, retain bool, payload any) error {
	return wait(ctx, c.client.Publish(topic, 1, retain, payload), "publish to "+topic)
}
