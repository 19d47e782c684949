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

	"github.com/linkbeat/linkbeat/transport/transporttest"
)

func TestMosquittoPlain(t *testing.T) {
	m := startMosquitto(t, plainConfig)
	got := make(chan Message, 16)
	l, err := New(Options{
		ClientID: "gw-1", Servers: []Server{{URL: "mqtt://" + m.addr()}}, StateTopic: "lb/gw-1/up/state", State: stateOf,
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
	if st := l.Status(); st.Why != "" || st.State != StateUp || st.Bytes.Sum() == 0 {
		t.Errorf("status: %+v", st)
	}
	t.Logf("%+v", l.Status())
	stop()
	m.stop()
	if !strings.Contains(m.log.String(), "Received DISCONNECT from gw-1") {
		t.Errorf("no DISCONNECT")
	}
}

// plainToo is another listener: with WebSocket alone mosquitto 2.0.11 does not start.
func plainToo(t *testing.T) string { return fmt.Sprintf("listener %d 127.0.0.1\n", freePort(t)) }

// tlsListener is a listener that wants a client certificate.
func tlsListener(a *authority, server, protocol string) func(int, string) string {
	return func(port int, _ string) string {
		return fmt.Sprintf("%slistener %d 127.0.0.1\nprotocol %s\nallow_anonymous true\nlog_type debug\ncafile %s\ncertfile %s\nkeyfile %s\nrequire_certificate true\nuser root\n",
			plainToo(a.t), port, protocol, a.file("ca.crt"), a.file(server+".crt"), a.file(server+".key"))
	}
}

func (a *authority) options(client string) TLSOptions {
	return TLSOptions{CAFile: a.file("ca.crt"), CertFile: a.file(client + ".crt"), KeyFile: a.file(client + ".key")}
}

func linkTo(t *testing.T, s ...Server) *Link {
	t.Helper()
	l, err := New(Options{ClientID: "gw-1", Servers: s, StateTopic: "lb/gw-1/up/state", State: stateOf, DetectWithin: 4 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// works publishes over l and hears itself.
func works(t *testing.T, l *Link) {
	t.Helper()
	awaitUp(t, l)
	for range 3 {
		if n, err := l.Publish(t.Context(), Message{Topic: "lb/gw-1/up/data/x", Payload: make([]byte, 50_000), QoS: 1}); n != 1 || err != nil {
			t.Fatalf("%d acknowledged, %v", n, err)
		}
	}
	st := l.Status()
	if st.Why != "" || st.State != StateUp {
		t.Errorf("status: %+v", st)
	}
	if st.Bytes.Data < 100_000 || st.Bytes.Overhead < 0 || st.Bytes.Handshake <= 0 {
		t.Errorf("ledger: %+v", st.Bytes)
	}
}

func TestMosquittoTLS(t *testing.T) {
	a := newAuthority(t, "ca")
	a.issue("server", onLoopback)
	a.issue("gw-1", named("gw-1"))
	for protocol, scheme := range map[string]string{"mqtt": "mqtts", "websockets": "wss"} {
		t.Run(scheme, func(t *testing.T) {
			m := startMosquitto(t, tlsListener(a, "server", protocol))
			l := linkTo(t, Server{URL: scheme + "://" + m.addr(), TLS: a.options("gw-1")})
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

// awaitWhy waits until Why has all of want.
func awaitWhy(t *testing.T, l *Link, want ...string) {
	t.Helper()
	end := time.After(patience)
	for {
		why, missing := l.Status().Why, ""
		for _, w := range want {
			if !strings.Contains(why, w) {
				missing = w
			}
		}
		if missing == "" {
			return
		}
		select {
		case <-end:
			t.Fatalf("why is %q, want %q in it", why, missing)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func TestMosquittoCertificates(t *testing.T) {
	a, b := newAuthority(t, "ca"), newAuthority(t, "ca")
	a.issue("server", onLoopback)
	a.issue("other", named("other.example"))
	a.issue("gw-1", named("gw-1"))
	b.issue("gw-1", named("gw-1"))
	for _, tt := range []struct {
		name, server string
		options      TLSOptions
		why          []string
	}{
		{"unknown authority", "server", b.options("gw-1"), []string{"certificate of the server is not accepted", "check ca_file"}},
		{"another name", "other", a.options("gw-1"), []string{"certificate of the server is not accepted", "check server_name"}},
		{"our certificate is missing", "server", TLSOptions{CAFile: a.file("ca.crt")}, []string{"our certificate"}},
		{"our certificate is foreign", "server", TLSOptions{CAFile: a.file("ca.crt"), CertFile: b.file("gw-1.crt"), KeyFile: b.file("gw-1.key")}, []string{"our certificate"}},
		{"no such file", "server", TLSOptions{CAFile: "/no/such/file"}, []string{"ca_file", "/no/such/file"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := startMosquitto(t, tlsListener(a, tt.server, "mqtt"))
			l := linkTo(t, Server{URL: "mqtts://" + m.addr(), TLS: tt.options})
			runLink(t, l)
			awaitWhy(t, l, append(tt.why, "next attempt")...)
		})
	}
	t.Run("another name that is asked for", func(t *testing.T) {
		m := startMosquitto(t, tlsListener(a, "other", "mqtt"))
		o := a.options("gw-1")
		o.ServerName = "other.example"
		l := linkTo(t, Server{URL: "mqtts://" + m.addr(), TLS: o})
		runLink(t, l)
		works(t, l)
	})
}

func TestMosquittoWebSocket(t *testing.T) {
	m := startMosquitto(t, func(port int, _ string) string {
		return fmt.Sprintf("%slistener %d 127.0.0.1\nprotocol websockets\nallow_anonymous true\nlog_type debug\n", plainToo(t), port)
	})
	l := linkTo(t, Server{URL: "ws://" + m.addr()})
	stop := runLink(t, l)
	works(t, l)
	stop()
	m.stop()
	if !strings.Contains(m.log.String(), "Received DISCONNECT from gw-1") {
		t.Error("no DISCONNECT")
	}
}

func TestMosquittoStoppedIsLeftWithinDetectWithin(t *testing.T) {
	a, b := startMosquitto(t, plainConfig), startMosquitto(t, plainConfig)
	l := linkTo(t, Server{URL: "mqtt://" + a.addr()}, Server{URL: "mqtt://" + b.addr()})
	runLink(t, l)
	works(t, l)
	a.freeze()
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
	if st := l.Status(); st.Server != "mqtt://"+b.addr() || st.WorstDetect > l.o.DetectWithin+time.Second {
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
	m := startMosquitto(t, func(port int, dir string) string {
		file := filepath.Join(dir, "passwords")
		if out, err := exec.Command(tool, "-b", "-c", file, "gw", "right").CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_passwd: %v: %s", err, out)
		}
		return fmt.Sprintf("listener %d 127.0.0.1\npassword_file %s\nlog_type debug\nuser root\n", port, file)
	})
	server := func(password string) Server {
		return Server{URL: "mqtt://" + m.addr(), Username: "gw", Password: func() (string, error) { return password, nil }}
	}
	wrong := linkTo(t, server("wrong"))
	runLink(t, wrong)
	awaitWhy(t, wrong, "server refused the connection: not authorised", "next attempt", "in 15m")
	right := linkTo(t, server("right"))
	runLink(t, right)
	works(t, right)
}

func TestMosquittoRestarts(t *testing.T) {
	m := startMosquitto(t, plainConfig)
	l := linkTo(t, Server{URL: "mqtt://" + m.addr()})
	l.backoff.rand = func() float64 { return 0 } // no waiting
	runLink(t, l)
	works(t, l)
	ready := l.Ready()
	m.stop()
	m.again()
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
	m := startMosquitto(t, plainConfig)
	relay, err := transporttest.NewRelay(transporttest.RelayOptions{Target: m.addr()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	relayDone := make(chan struct{})
	go func() { defer close(relayDone); _ = relay.Run(ctx) }()
	defer func() { cancel(); <-relayDone }()
	down := make(chan Event, 10)
	l, err := New(Options{
		ClientID: "gw-1", Servers: []Server{{URL: "mqtt://" + relay.Addr()}}, Interval: time.Second, DetectWithin: 12 * time.Second,
		Notify: func(e Event) {
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
