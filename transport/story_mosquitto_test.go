package transport

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

func TestMosquittoPlain(t *testing.T) {
	m := brokertest.Start(t, brokertest.Plain)
	got := make(chan Message, 16)
	l, err := New(Options{
		ClientID: "gw-1", Servers: []Server{{URL: "mqtt://" + m.Addr()}}, StateTopic: "lb/gw-1/up/state", State: stateOf,
	})
	if err != nil {
		t.Fatal(err)
	}
	l.Handle("lb/gw-1/dn/#", func(m Message, retained bool) { got <- m })
	stop := runLink(t, l)
	awaitUp(t, l)
	for i := range 100 {
		n, err := l.Publish(t.Context(), Message{Topic: "lb/gw-1/dn/x", Payload: fmt.Appendf(nil, "%d", i), QoS: 1})
		if n != 1 || err != nil {
			t.Fatalf("publish %d: %d acknowledged, %v", i, n, err)
		}
		if m := await(t, "message", got); string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %q", i, m.Payload)
		}
	}
	if st := awaitWell(t, l); st.Bytes.Sum() == 0 {
		t.Errorf("status: %+v", st)
	}
	stop()
	m.Stop()
	if !strings.Contains(m.Log(), "Received DISCONNECT from gw-1") {
		t.Errorf("no DISCONNECT")
	}
}

func TestMosquittoTLS(t *testing.T) {
	a := brokertest.NewAuthority(t, "ca")
	a.Issue("server", brokertest.OnLoopback)
	a.Issue("gw-1", brokertest.Named("gw-1"))
	for protocol, scheme := range map[string]string{"mqtt": "mqtts", "websockets": "wss"} {
		t.Run(scheme, func(t *testing.T) {
			m := brokertest.Start(t, brokertest.TLS(a, "server", protocol))
			l := linkTo(t, Server{URL: scheme + "://" + m.Addr(), TLS: tlsOptions(a, "gw-1")})
			runLink(t, l)
			works(t, l)
			over := func() int64 { return l.Status().Bytes.Overhead }
			for end := time.After(patience); over() <= 0 || over() > 3000; { // the last write may not be booked yet
				select {
				case <-end:
					t.Fatalf("overhead is %d bytes", over())
				case <-time.After(time.Millisecond):
				}
			}
		})
	}
}

func TestMosquittoCertificates(t *testing.T) {
	a, b := brokertest.NewAuthority(t, "ca"), brokertest.NewAuthority(t, "ca")
	a.Issue("server", brokertest.OnLoopback)
	a.Issue("other", brokertest.Named("other.example"))
	a.Issue("gw-1", brokertest.Named("gw-1"))
	b.Issue("gw-1", brokertest.Named("gw-1"))
	for _, tt := range []struct {
		name, server string
		options      TLSOptions
		why          []string
	}{
		{"unknown authority", "server", tlsOptions(b, "gw-1"), []string{"certificate of the server is not accepted",
			"check ca_file"}},
		{"another name", "other", tlsOptions(a, "gw-1"), []string{"certificate of the server is not accepted",
			"check server_name"}},
		{"our certificate is missing", "server", TLSOptions{CAFile: a.File("ca.crt")}, []string{"our certificate"}},
		{"our certificate is foreign", "server", TLSOptions{CAFile: a.File("ca.crt"), CertFile: b.File("gw-1.crt"),
			KeyFile: b.File("gw-1.key")}, []string{"our certificate"}},
		{"no such file", "server", TLSOptions{CAFile: "/no/such/file"}, []string{"ca_file", "/no/such/file"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := brokertest.Start(t, brokertest.TLS(a, tt.server, "mqtt"))
			l := linkTo(t, Server{URL: "mqtts://" + m.Addr(), TLS: tt.options})
			runLink(t, l)
			awaitWhy(t, l, append(tt.why, "next attempt")...)
		})
	}
	t.Run("another name that is asked for", func(t *testing.T) {
		m := brokertest.Start(t, brokertest.TLS(a, "other", "mqtt"))
		o := tlsOptions(a, "gw-1")
		o.ServerName = "other.example"
		l := linkTo(t, Server{URL: "mqtts://" + m.Addr(), TLS: o})
		runLink(t, l)
		works(t, l)
	})
}

func TestMosquittoWebSocket(t *testing.T) {
	m := brokertest.Start(t, func(port int, _ string) string {
		return fmt.Sprintf("%slistener %d 127.0.0.1\nprotocol websockets\nallow_anonymous true\nlog_type debug\n",
			brokertest.PlainToo(t), port)
	})
	l := linkTo(t, Server{URL: "ws://" + m.Addr()})
	stop := runLink(t, l)
	works(t, l)
	stop()
	m.Stop()
	if !strings.Contains(m.Log(), "Received DISCONNECT from gw-1") {
		t.Error("no DISCONNECT")
	}
}

func TestMosquittoStoppedIsLeftWithinDetectWithin(t *testing.T) {
	a, b := brokertest.Start(t, brokertest.Plain), brokertest.Start(t, brokertest.Plain)
	l := linkTo(t, Server{URL: "mqtt://" + a.Addr()}, Server{URL: "mqtt://" + b.Addr()})
	runLink(t, l)
	works(t, l)
	a.Freeze()
	start := time.Now()
	ack, err := l.Send(t.Context(), Message{Topic: "lb/gw-1/up/data/x", Payload: []byte("x"), QoS: 1})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "end of the session", ack.Done())
	if took := time.Since(start); ack.Err() == nil || took > 2*l.o.DetectWithin {
		t.Errorf("noticed after %v: %v", took, ack.Err())
	}
	works(t, l)
	if st := l.Status(); st.Server != "mqtt://"+b.Addr() || st.WorstDetect > l.o.DetectWithin+time.Second {
		t.Errorf("status: %+v", st)
	}
	t.Logf("worst detect %v of %v", l.Status().WorstDetect, l.o.DetectWithin)
}

func TestMosquittoWrongPassword(t *testing.T) {
	tool, err := exec.LookPath("mosquitto_passwd")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("mosquitto_passwd is missing: install the Debian package mosquitto")
		}
		t.Skip("mosquitto_passwd is missing: install the Debian package mosquitto")
	}
	m := brokertest.Start(t, func(port int, dir string) string {
		file := filepath.Join(dir, "passwords")
		if out, err := exec.Command(tool, "-b", "-c", file, "gw", "right").CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
		return fmt.Sprintf("listener %d 127.0.0.1\npassword_file %s\nlog_type debug\nuser root\n", port, file)
	})
	server := func(password string) Server {
		return Server{URL: "mqtt://" + m.Addr(), Username: "gw", Password: func() (string, error) { return password, nil }}
	}
	wrong := linkTo(t, server("wrong"))
	runLink(t, wrong)
	awaitWhy(t, wrong, "server refused the connection: not authorised", "next attempt")
	if why := wrong.Status().Why; !strings.Contains(why, "in 15m") && !strings.Contains(why, "in 14m") { // it counts down
		t.Errorf("why is %q, want a next attempt after a quarter of an hour", why)
	}
	right := linkTo(t, server("right"))
	runLink(t, right)
	works(t, right)
}

func TestMosquittoRestarts(t *testing.T) {
	m := brokertest.Start(t, brokertest.Plain)
	noWaiting := func(o *Options) { o.Rand = func() float64 { return 0 } }
	l := linkWith(t, noWaiting, Server{URL: "mqtt://" + m.Addr()})
	runLink(t, l)
	works(t, l)
	ready := l.Ready()
	m.Stop()
	m.Again()
	for l.Ready() == ready {
		<-time.After(10 * time.Millisecond)
	}
	works(t, l)
	if st := l.Status(); st.Drops != 1 || st.Sessions != 2 {
		t.Errorf("status: %+v", st)
	}
}

// Behind a NAT that forgets, over real TCP: known soon after the beat, not only after detect_within.
func TestForgottenOverRealTCP(t *testing.T) {
	m := brokertest.Start(t, brokertest.Plain)
	relay, err := transporttest.NewRelay(transporttest.RelayOptions{Target: m.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	relayDone := make(chan struct{})
	go func() { defer close(relayDone); _ = relay.Run(ctx) }()
	defer func() { cancel(); <-relayDone }()
	down := make(chan Event, 10)
	l, err := New(Options{
		ClientID: "gw-1", Servers: []Server{{URL: "mqtt://" + relay.Addr()}}, Interval: time.Second,
		DetectWithin: 12 * time.Second, Notify: func(e Event) {
			if e.Kind == EventDown {
				down <- e
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	runLink(t, l)
	awaitUp(t, l)
	relay.Flush()
	if e := await(t, "loss", down); !strings.Contains(e.Why, "forgotten on the way") {
		t.Errorf("event: %+v", e)
	}
	awaitUp(t, l)
	if st := l.Status(); st.Bytes.Probe == 0 || st.WorstDetect >= l.o.DetectWithin {
		t.Errorf("status: %+v", st)
	}
	t.Logf("noticed after %v, detect_within is %v", l.Status().WorstDetect, l.o.DetectWithin)
}
