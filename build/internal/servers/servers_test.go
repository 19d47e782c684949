package servers

import (
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// relays publishes through one URL and wants it at another.
func relays(t *testing.T, e *kit.Env, from, to string) {
	t.Helper()
	sub, err := e.Collect(kit.CollectOptions{URL: to, ID: "reader", Filters: []string{"lb/gw/up/#"}})
	if err != nil {
		t.Fatal(err)
	}
	pub, err := e.Collect(kit.CollectOptions{URL: from, ID: "writer"})
	if err != nil {
		t.Fatal(err)
	}
	if err := pub.Publish(e.Ctx, "lb/gw/up/data/meter", false, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := e.Until("the message", 10*time.Second, func() bool { return sub.Count() == 1 }); err != nil {
		t.Fatal(err)
	}
}

func TestNATSIsWholeAgainAfterANodeWasKilled(t *testing.T) {
	kit.Need(t, "nats-server")
	e := kit.Test(t, 3*time.Minute)
	c, err := NATS(e, Place{}, Place{}, Place{})
	if err != nil {
		t.Fatal(err)
	}
	relays(t, e, c.Nodes[0].URL(), c.Nodes[1].URL())
	if err := c.Whole(); err != nil {
		t.Fatal(err)
	}
	c.Nodes[0].Kill()
	if c.Nodes[0].Proc().Running() {
		t.Error("still running after a kill")
	}
	if err := c.Nodes[0].startUp(); err != nil {
		t.Fatal(err)
	}
	if err := c.Whole(); err != nil {
		t.Fatal(err)
	}
}

func TestRabbitMQ(t *testing.T) {
	kit.Need(t, "rabbitmq-server")
	e := kit.Test(t, 2*time.Minute)
	s, err := RabbitMQ(e, Place{})
	if err != nil {
		t.Fatal(err)
	}
	relays(t, e, s.URL(), s.URL())
}

func TestHAProxyClosesWhatIsIdle(t *testing.T) {
	kit.Need(t, "mosquitto", "haproxy")
	e := kit.Test(t, time.Minute)
	b, err := e.Broker(kit.BrokerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := HAProxy(e, Place{}, time.Second, b.Host())
	if err != nil {
		t.Fatal(err)
	}
	relays(t, e, s.URL(), b.URL())
	c, err := kit.Dialer("")(e.Ctx, "tcp", s.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	start := time.Now()
	_, _ = c.Read(make([]byte, 1))
	if took := time.Since(start); took < 900*time.Millisecond || took > 3*time.Second {
		t.Errorf("closed after %v, want 1 s", took)
	}
}

func TestProxiesListen(t *testing.T) {
	kit.Need(t, "tinyproxy", "microsocks")
	e := kit.Test(t, time.Minute)
	for name, start := range map[string]func(*kit.Env, Place) (*Server, error){"tinyproxy": Tinyproxy, "microsocks": Microsocks} {
		if _, err := start(e, Place{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
