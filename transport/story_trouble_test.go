package transport

import (
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

func TestAcceptThenKickIsNoTightLoop(t *testing.T) {
	kick := transporttest.Hooks{OnPublish: func(string, transporttest.Message) transporttest.Answer {
		return transporttest.HangUp
	}}
	inBubble(t, rigOptions{a: kick}, func(r *rig) {
		r.sleep(24 * time.Hour)
		// 1, 3, 9 … 600 s, times 0.75: 7 to reach the limit, then one in 450 s
		if n := connects(r.a); n < 150 || n > 200 {
			r.Errorf("%d connects in a day", n)
		}
		r.why("mqtt://a", "next attempt")
	})
}

func TestRestartedServerIsNotStormed(t *testing.T) {
	attempts := 0
	for i := range 50 {
		o := rigOptions{tweak: func(o *Options) { o.Rand = func() float64 { return float64(i) / 50 } }}
		inBubble(t, o, func(r *rig) {
			r.up(time.Minute)
			r.sleep(10 * time.Minute)
			r.a.Close()
			r.sleep(10 * time.Second)
			r.serve(r.a, "a:1883")
			start := time.Now()
			r.up(time.Minute)
			if took := time.Since(start); took < 2*time.Second {
				attempts++
			}
			if took := time.Since(start); took > 20*time.Second {
				r.Errorf("gateway %d came back only after %v", i, took)
			}
		})
	}
	if attempts > 20 {
		t.Errorf("%d of 50 gateways came back in the first 2 s", attempts)
	}
}

func TestKickedFromOneServerGoesToTheOther(t *testing.T) {
	inBubble(t, rigOptions{both: true}, func(r *rig) {
		r.up(time.Minute)
		r.sleep(10 * time.Minute)
		r.a.Kick(rigID)
		r.down(time.Second)
		r.up(time.Second)
		if got := r.link.Status().Server; got != "mqtt://b" {
			r.Errorf("server is %s", got)
		}
		r.a.Close()
		r.b.Kick(rigID)
		r.sleep(time.Second)
		r.up(30 * time.Second)
		if got := r.link.Status().Server; got != "mqtt://b" {
			r.Errorf("server is %s", got)
		}
	})
}

func TestRefusedIsNamedAndWaitsLong(t *testing.T) {
	for _, tt := range []struct {
		code byte
		why  string
		kind EventKind
		most int // connects in an hour
	}{
		{transporttest.BadVersion, "does not speak MQTT 3.1.1", EventRefused, 4},
		{transporttest.BadClientID, `does not accept the client id "gw-1"`, EventRefused, 4},
		{transporttest.BadCredentials, "wrong user name or password", EventRefused, 4},
		{transporttest.NotAuthorised, "not authorised", EventRefused, 4},
		{transporttest.ServerUnavailable, "unavailable", EventDialFailed, 60},
	} {
		t.Run(tt.why, func(t *testing.T) {
			hooks := transporttest.Hooks{OnConnect: func(transporttest.Connect) byte { return tt.code }}
			inBubble(t, rigOptions{a: hooks}, func(r *rig) {
				r.sleep(59 * time.Minute)
				if n := connects(r.a); n < 4 || n > tt.most {
					r.Errorf("%d connects in an hour", n)
				}
				if got := r.kinds(); got != string(tt.kind) {
					r.Errorf("events %s", got)
				}
				r.why("mqtt://a: server refused the connection", tt.why)
			})
		})
	}
}

func TestRefusedByOneServerUsesTheOther(t *testing.T) {
	hooks := transporttest.Hooks{OnConnect: func(transporttest.Connect) byte { return transporttest.BadCredentials }}
	inBubble(t, rigOptions{a: hooks, both: true}, func(r *rig) {
		r.up(time.Second)
		r.sleep(time.Minute)
		r.b.Kick(rigID)
		r.sleep(time.Second)
		r.up(20 * time.Second)
		if n := connects(r.a); n != 1 {
			r.Errorf("asked the server that refused %d times", n)
		}
	})
}

// Who serves instead of the preferred server that refused us is no reason to say nothing.
func TestARefusalIsToldWhileAnotherServerServes(t *testing.T) {
	var refuse atomic.Bool
	refuse.Store(true)
	hooks := transporttest.Hooks{OnConnect: func(transporttest.Connect) byte {
		if refuse.Load() {
			return transporttest.NotAuthorised
		}
		return 0
	}}
	inBubble(t, rigOptions{a: hooks, both: true}, func(r *rig) {
		since := time.Now().UTC().Format(time.DateTime)
		r.up(time.Second)
		r.sleep(2 * time.Hour)
		r.why("mqtt://a: server refused the connection: not authorised", "(since "+since+")", "; on mqtt://b")
		r.b.Close() // both are down: each is brokertest.Named, none twice
		r.sleep(time.Hour)
		if why := r.link.Status().Why; strings.Count(why, "mqtt://a: server refused") != 1 {
			r.Errorf("%q", why)
		}
		refuse.Store(false)
		r.up(2 * time.Hour)
		r.sleep(time.Minute)
		if why := r.link.Status().Why; strings.Contains(why, "refused") {
			r.Errorf("%q", why)
		}
	})
}

func TestSubscriptionRefused(t *testing.T) {
	hooks := transporttest.Hooks{OnSubscribe: func(_, filter string) byte {
		if filter == rigCmd {
			return transporttest.SubscriptionFailed
		}
		return 1
	}}
	inBubble(t, rigOptions{a: hooks}, func(r *rig) {
		r.up(time.Second)
		r.why("server refused the subscription to lb/gw-1/dn/#")
		if st := r.link.Status(); len(st.Denied) != 1 || st.Denied[0] != rigCmd || st.Refused != 1 {
			r.Errorf("status: %+v", st)
		}
		if got := r.kinds(); got != "subscribe_refused up" {
			r.Errorf("events %s", got)
		}
	})
}

func TestTakeoverIsNamedAndBacksOff(t *testing.T) {
	inBubble(t, rigOptions{}, func(r *rig) {
		r.up(time.Second)
		r.sleep(time.Hour)
		twin, err := New(Options{
			ClientID: rigID, Servers: []Server{{URL: "mqtt://a"}}, StateTopic: rigState, Dial: r.net.Dial,
			State: func(online bool, s Session) []byte { return append(stateOf(online, s), " twin"...) },
		})
		if err != nil {
			r.Fatal(err)
		}
		stop := runTwin(r, twin)
		defer stop()
		r.sleep(time.Hour)
		if !r.has(EventTakeover) {
			r.Errorf("events %s", r.kinds())
		}
		r.why(`another client with the id "gw-1"`, rigState)
		if n := connects(r.a); n > 60 {
			r.Errorf("%d connects in an hour of fighting", n)
		}
		stop()
		r.sleep(2 * time.Hour)
		r.up(time.Second)
		r.why()
		if m, _ := r.a.Retained(rigState); strings.Contains(string(m.Payload), "twin") ||
			!strings.Contains(string(m.Payload), `"online":true`) {
			r.Errorf("state: %s", m.Payload)
		}
	})
}

func runTwin(r *rig, l *Link) (stop func()) {
	twin := &rig{T: r.T, link: l, done: make(chan struct{})}
	twin.start()
	return twin.stop
}

func TestLateWillIsOverwritten(t *testing.T) {
	inBubble(t, rigOptions{}, func(r *rig) {
		r.up(time.Second)
		birth, _ := r.a.Retained(rigState)
		old := transporttest.Message{Topic: rigState, Payload: []byte(`{"online":false,"session":0}`), QoS: 1, Retain: true,
			From: rigID}
		r.a.Publish(old)
		r.sleep(time.Second)
		if m, _ := r.a.Retained(rigState); string(m.Payload) != string(birth.Payload) {
			r.Errorf("state: %s", m.Payload)
		}
		before := len(r.a.Published(rigState))
		for range 3600 { // somebody who insists
			r.a.Publish(old)
			r.sleep(time.Second)
		}
		if n := len(r.a.Published(rigState)) - before - 3600; n > 20 {
			r.Errorf("announced %d times in an hour", n)
		}
		r.sleep(10 * time.Minute)
		if m, _ := r.a.Retained(rigState); string(m.Payload) != string(birth.Payload) {
			r.Errorf("state: %s", m.Payload)
		}
	})
}

func TestNonsenseIsNamedAndBacksOff(t *testing.T) {
	for _, tt := range []struct{ name, says, why string }{
		{"http", "HTTP/1.1 400 Bad Request\r\n\r\n", "server speaks no MQTT"},
		{"endless length", "\x30\xff\xff\xff\xff\xff", "remaining length"},
		{"256 MiB", "\x30\xff\xff\xff\x7f", "instead of CONNACK"},
		{"publish before connack", "\x30\x03\x00\x01a", "instead of CONNACK"},
		{"unknown code", "\x20\x02\x00\x77", "a CONNACK of 00 77"},
		{"suback of too many codes", "\x20\x02\x00\x00\x90\x05\x00\x01\x00\x00\x00", "a SUBACK of 3 codes for 2 filters"},
		{"auth", "\x20\x02\x00\x00\xf0\x02\x00\x01", "a packet of type 15"},
		{"long pubrec", "\x20\x02\x00\x00\x50\x03\x00\x01\x00", "a packet of type 5"},
		{"connack twice", "\x20\x02\x00\x00\x20\x02\x00\x00", "a second CONNACK"},
		{"qos 3", "\x20\x02\x00\x00\x36\x05\x00\x01a\x00\x01", "QoS 3"},
		{"nothing but goodbye", "", "closed by the server"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := rigOptions{tweak: func(o *Options) { o.Servers[0].URL = "mqtt://fool" }, later: true}
			inBubble(t, o, func(r *rig) {
				n := 0
				defer fool(r, tt.says, &n)()
				r.start()
				r.sleep(time.Hour)
				r.why("mqtt://fool", tt.why)
				if n > 16 {
					r.Errorf("%d attempts in an hour", n)
				}
			})
		})
	}
}

// fool answers the second packet, or at once if the saying is no CONNACK, and hangs up in the end.
func fool(r *rig, says string, n *int) (stop func()) {
	l, err := r.net.Listen("fool:1883")
	if err != nil {
		r.Fatal(err)
	}
	serve := func(c net.Conn) {
		defer c.Close()
		buf := make([]byte, 4096)
		_, _ = c.Read(buf)
		if len(says) > 4 && strings.HasPrefix(says, "\x20\x02\x00\x00") {
			fmt.Fprint(c, says[:4])
			_, _ = c.Read(buf)
			fmt.Fprint(c, says[4:])
			_, _ = c.Read(buf)
			return
		}
		fmt.Fprint(c, says)
		if says != "" {
			_, _ = c.Read(buf)
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			*n++
			go serve(c)
		}
	}()
	return func() { _ = l.Close() }
}
