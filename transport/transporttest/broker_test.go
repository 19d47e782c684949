package transporttest_test

import (
	"fmt"
	"net"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// site is a broker, a NAT before it, and real paho clients behind that.
type site struct {
	t      *testing.T
	net    *transporttest.Network
	nat    *transporttest.NAT
	broker *transporttest.Broker
}

func newSite(t *testing.T, h transporttest.Hooks) *site {
	t.Helper()
	s := &site{t: t, net: transporttest.NewNetwork(), broker: transporttest.NewBroker(h)}
	s.nat = transporttest.NewNAT(s.net, transporttest.NATOptions{})
	s.listen()
	t.Cleanup(func() { s.broker.Close(); s.net.Close() })
	return s
}

func (s *site) listen() {
	l, err := s.net.Listen("broker:1883")
	if err != nil {
		s.t.Fatal(err)
	}
	s.broker.Serve(l)
}

// client connects a paho client that never pings; got receives "topic payload", with " r" when retained.
func (s *site) client(id string, keepalive time.Duration,
	change func(*mqtt.ClientOptions)) (c mqtt.Client, got chan string, err error) {
	got = make(chan string, 100)
	o := mqtt.NewClientOptions().SetClientID(id).SetProtocolVersion(4).SetAutoReconnect(false).SetConnectRetry(false).
		SetKeepAlive(keepalive).SetPingTimeout(1000 * time.Hour).SetCleanSession(false).AddBroker("tcp://broker:1883").
		SetDefaultPublishHandler(func(_ mqtt.Client, m mqtt.Message) {
			line := m.Topic() + " " + string(m.Payload())
			if m.Retained() {
				line += " r"
			}
			got <- line
		})
	o.SetCustomOpenConnectionFn(func(_ *url.URL, _ mqtt.ClientOptions) (net.Conn, error) {
		return s.nat.Dial(s.t.Context(), "tcp", "broker:1883")
	})
	if change != nil {
		change(o)
	}
	c = mqtt.NewClient(o)
	token := c.Connect()
	token.Wait()
	s.t.Cleanup(func() { c.Disconnect(0) })
	return c, got, token.Error()
}

func (s *site) must(c mqtt.Client, got chan string, err error) (mqtt.Client, chan string) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return c, got
}

// drain returns what has arrived, once nothing moves any more.
func drain(got chan string) (all []string) {
	synctest.Wait()
	for {
		select {
		case m := <-got:
			all = append(all, m)
		default:
			return all
		}
	}
}

func equal(t *testing.T, what string, got any, want string) {
	t.Helper()
	if g := fmt.Sprint(got); g != want {
		t.Errorf("%s: got %s, want %s", what, g, want)
	}
}

func bubble(t *testing.T, h transporttest.Hooks, f func(t *testing.T, s *site)) {
	synctest.Test(t, func(t *testing.T) { f(t, newSite(t, h)) })
}

func TestPublishReachesSubscribers(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, s *site) {
		a, _ := s.must(s.client("a", 0, nil))
		b, got := s.must(s.client("b", 0, nil))
		b.Subscribe("lb/+/up/#", 1, nil).Wait()
		for i, topic := range []string{"lb/gw/up/data/m", "lb/gw/dn/cmd/m", "lb/gw/up"} {
			a.Publish(topic, byte(i%2), false, "x").Wait()
		}
		equal(t, "b", drain(got), "[lb/gw/up/data/m x lb/gw/up x]")
		equal(t, "online", s.broker.Online(), "[a b]")
		equal(t, "published", len(s.broker.Published("#")), "3")
	})
}

func TestRetainedIsSentToNewSubscribers(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, s *site) {
		a, got := s.must(s.client("a", 0, nil))
		a.Publish("state", 1, true, "on").Wait()
		a.Publish("other", 1, true, "1").Wait()
		a.Publish("other", 1, true, "").Wait()
		a.Subscribe("#", 1, nil).Wait()
		equal(t, "at subscription", drain(got), "[state on r]")
		a.Publish("state", 1, true, "off").Wait()
		equal(t, "afterwards", drain(got), "[state off]")
	})
}

func TestWill(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(s *site, c mqtt.Client)
		want string
	}{
		{"silence for 1.5 times the keepalive",
			func(s *site, _ mqtt.Client) { s.nat.Cut(time.Hour); time.Sleep(90*time.Second + time.Millisecond) }, "[state gone]"},
		{"silence for less", func(s *site, _ mqtt.Client) { s.nat.Cut(time.Hour); time.Sleep(89 * time.Second) }, "[]"},
		{"kicked", func(s *site, _ mqtt.Client) { s.broker.Kick("gw") }, "[state gone]"},
		{"taken over", func(s *site, _ mqtt.Client) { s.must(s.client("gw", 0, nil)) }, "[state gone]"},
		{"said goodbye", func(_ *site, c mqtt.Client) { c.Disconnect(1) }, "[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, transporttest.Hooks{}, func(t *testing.T, s *site) {
				watcher := watch(s, "state")
				c, _ := s.must(s.client("gw", time.Minute, func(o *mqtt.ClientOptions) {
					o.SetWill("state", "gone", 1, true).SetKeepAlive(0)
					o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
						conn, err := s.nat.Dial(t.Context(), "tcp", "broker:1883")
						return keepalive{conn, 60}, err
					})
				}))
				tt.end(s, c)
				synctest.Wait()
				equal(t, "watcher", watcher(), tt.want)
				_, kept := s.broker.Retained("state")
				equal(t, "retained", kept, fmt.Sprint(tt.want != "[]"))
			})
		})
	}
}

// watch subscribes past the NAT and returns what has arrived since.
func watch(s *site, filter string) func() []string {
	_, got := s.must(s.client("watcher", 0, func(o *mqtt.ClientOptions) {
		o.SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
			return s.net.Dial(s.t.Context(), "tcp", "broker:1883")
		})
		o.SetOnConnectHandler(func(c mqtt.Client) { c.Subscribe(filter, 1, nil) })
	}))
	synctest.Wait()
	return func() []string { return drain(got) }
}

func TestSessionKeepsItsQueue(t *testing.T) {
	for _, clean := range []bool{false, true} {
		t.Run(fmt.Sprint("clean=", clean), func(t *testing.T) {
			bubble(t, transporttest.Hooks{}, func(t *testing.T, s *site) {
				set := func(o *mqtt.ClientOptions) { o.SetCleanSession(clean) }
				c, _ := s.must(s.client("gw", 0, set))
				c.Subscribe("cmd", 1, nil).Wait()
				c.Disconnect(1)
				s.broker.Publish(transporttest.Message{Topic: "cmd", Payload: []byte("1"), QoS: 1})
				s.broker.Publish(transporttest.Message{Topic: "cmd", Payload: []byte("0"), QoS: 0})
				_, got := s.must(s.client("gw", 0, set))
				equal(t, "at return", drain(got), map[bool]string{false: "[cmd 1]", true: "[]"}[clean])
			})
		})
	}
}

func TestSessionsOutliveARestart(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, s *site) {
		c, _ := s.must(s.client("gw", 0, nil))
		c.Subscribe("cmd", 1, nil).Wait()
		s.broker.Close()
		synctest.Wait()
		if _, _, err := s.client("gw", 0, nil); err == nil {
			t.Error("a closed broker took a client")
		}
		s.broker.Publish(transporttest.Message{Topic: "cmd", Payload: []byte("1"), QoS: 1})
		s.listen()
		_, got := s.must(s.client("gw", 0, nil))
		equal(t, "after the restart", drain(got), "[cmd 1]")
	})
}

func TestHooks(t *testing.T) {
	h := transporttest.Hooks{
		OnConnect: func(c transporttest.Connect) byte {
			if c.Username == "wrong" {
				return transporttest.NotAuthorised
			}
			return transporttest.Accepted
		},
		OnSubscribe: func(_, filter string) byte {
			if filter == "secret" {
				return transporttest.SubscriptionFailed
			}
			return 1
		},
		OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
			return map[string]transporttest.Answer{"swallow": transporttest.Swallow, "mute": transporttest.Mute,
				"hangup": transporttest.HangUp}[m.Topic]
		},
	}
	bubble(t, h, func(t *testing.T, s *site) {
		_, _, err := s.client("x", 0, func(o *mqtt.ClientOptions) { o.SetUsername("wrong") })
		equal(t, "refused connect", err, "not Authorized")
		watcher := watch(s, "#")
		c, _ := s.must(s.client("gw", 0, nil))
		token := c.Subscribe("secret", 1, nil).(*mqtt.SubscribeToken)
		token.Wait()
		equal(t, "refused subscription", token.Result(), "map[secret:128]")
		equal(t, "swallowed", c.Publish("swallow", 1, false, "x").WaitTimeout(time.Minute), "true")
		equal(t, "mute", c.Publish("mute", 1, false, "x").WaitTimeout(time.Minute), "false")
		c.Publish("hangup", 1, false, "x")
		equal(t, "watcher", watcher(), "[mute x]")
		equal(t, "hung up", c.IsConnected(), "false")
		equal(t, "connects", len(s.broker.Connects()), "3")
	})
}

func TestFrozenBrokerKeepsTheConnectionAndLosesNothing(t *testing.T) {
	bubble(t, transporttest.Hooks{}, func(t *testing.T, s *site) {
		c, _ := s.must(s.client("gw", 20*time.Second, nil))
		s.broker.Freeze()
		token := c.Publish("data", 1, false, "x")
		equal(t, "acknowledged by a stopped broker", token.WaitTimeout(time.Hour), "false")
		s.broker.Thaw()
		equal(t, "acknowledged after the thaw", token.WaitTimeout(time.Second), "true")
		equal(t, "still connected", c.IsConnected(), "true")
		if n := s.broker.Pings("gw"); n < 1 {
			t.Errorf("%d pings", n)
		}
	})
}

func TestNonsenseIsHungUpOn(t *testing.T) {
	for name, p := range map[string]string{
		"no connect first": "\xc0\x00", "not mqtt": "GET / HTTP/1.1\r\n\r\n", "too long": "\x10\xff\xff\xff\x7f",
		"short": "\x10\x02\x00\x04", "a packet that never ends": "\x10\x20\x00\x04MQTT",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, transporttest.Hooks{}, func(t *testing.T, s *site) {
				c, err := s.net.Dial(t.Context(), "tcp", "broker:1883")
				if err != nil {
					t.Fatal(err)
				}
				c.Write([]byte(p))
				r := receive(c)
				time.Sleep(time.Minute)
				synctest.Wait()
				if r.err == nil {
					t.Error("still connected")
				}
			})
		})
	}
}
