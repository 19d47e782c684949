package transport

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// again ends the session of l as a network would, and waits for the next.
func again(t *testing.T, l *Link) {
	t.Helper()
	s, ready := l.current()
	if s == nil {
		t.Fatal("not up")
	}
	_ = s.stream.raw.Close()
	for l.Ready() == ready {
		<-time.After(time.Millisecond)
	}
	awaitUp(t, l)
}

func TestReconnectResumesTLS(t *testing.T) {
	a := newAuthority(t, "ca")
	a.issue("server", onLoopback)
	a.issue("gw-1", named("gw-1"))
	m := startMosquitto(t, tlsListener(a, "server", "mqtt"))
	l := linkTo(t, Server{URL: "mqtts://" + m.addr(), TLS: a.options("gw-1")})
	l.backoff.limits.Min = time.Millisecond
	runLink(t, l)
	awaitUp(t, l)
	full := l.Status().Bytes.Handshake
	again(t, l)
	resumed := l.Status().Bytes.Handshake - full
	s, _ := l.current()
	if !s.stream.Conn.(*tls.Conn).ConnectionState().DidResume || resumed >= full {
		t.Errorf("first handshake %d bytes, second %d: not resumed", full, resumed)
	}
	t.Logf("first handshake %d bytes, second %d", full, resumed)
}

func TestCertificatesAreReadAgain(t *testing.T) {
	a := newAuthority(t, "ca")
	a.issue("server", onLoopback)
	a.issue("gw-1", named("gw-1"))
	e, err := newEndpoint(Server{URL: "mqtts://127.0.0.1", TLS: a.options("gw-1")})
	if err != nil {
		t.Fatal(err)
	}
	leaf := func() (*x509.Certificate, any) {
		c, err := e.tlsConfig()
		if err != nil {
			t.Fatal(err)
		}
		return c.Certificates[0].Leaf, c.ClientSessionCache
	}
	first, cache := leaf()
	if _, same := leaf(); same != cache {
		t.Error("tickets were forgotten although nothing changed")
	}
	a.issue("gw-1", named("gw-1"))
	if second, other := leaf(); second.Equal(first) || other == cache {
		t.Error("the new certificate was not read, or tickets of the old one are kept")
	}
	if err := os.WriteFile(a.file("ca.crt"), []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := e.tlsConfig(); err == nil || !strings.Contains(err.Error(), "no certificate in it") {
		t.Errorf("got %v", err)
	}
}

func TestClockThatIsNotSetIsNoReasonToWaitLong(t *testing.T) {
	a := newAuthority(t, "ca")
	for _, tt := range []struct {
		name     string
		from, to time.Duration
		kind     outcome
		why      string
	}{
		{"expired", -2 * time.Hour, -time.Hour, outcomeRefused, "expired"},
		{"not yet valid", time.Hour, 2 * time.Hour, outcomeSilence, "our clock says"},
	} {
		cert, _ := a.issue(tt.name, func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(tt.from), time.Now().Add(tt.to)
		})
		roots := x509.NewCertPool()
		roots.AddCert(a.cert)
		_, err := cert.Verify(x509.VerifyOptions{Roots: roots})
		if f := asFault(err, time.Now()); f.kind != tt.kind || !strings.Contains(f.Error(), tt.why) {
			t.Errorf("%s: kind %d, %v", tt.name, f.kind, f)
		}
	}
}

// wsServer speaks WebSocket and hands each connection to serve.
func wsServer(t *testing.T, protocols []string, serve func(*websocket.Conn)) string {
	t.Helper()
	u := websocket.Upgrader{Subprotocols: protocols}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != wsDefaultPath {
			http.Error(w, "no such path", http.StatusForbidden)
			return
		}
		if c, err := u.Upgrade(w, r, nil); err == nil {
			defer c.Close()
			serve(c)
		}
	}))
	t.Cleanup(s.Close)
	return "ws" + strings.TrimPrefix(s.URL, "http")
}

func TestWebSocketPingIsAnswered(t *testing.T) {
	pong := make(chan string, 1)
	url := wsServer(t, []string{wsProtocol}, func(c *websocket.Conn) {
		c.SetPongHandler(func(s string) error { pong <- s; return nil })
		_, _, _ = c.ReadMessage() // CONNECT
		for _, part := range []string{"\x20", "\x02\x00", "\x00"} {
			_ = c.WriteMessage(websocket.BinaryMessage, []byte(part)) // messages need not be packets
		}
		_ = c.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(patience))
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				return
			}
		}
	})
	l := linkTo(t, Server{URL: url})
	l.o.StateTopic = "" // nothing to subscribe to
	runLink(t, l)
	awaitUp(t, l)
	if got := await(t, "pong", pong); got != "there?" {
		t.Errorf("got %q", got)
	}
}

func TestWebSocketFaults(t *testing.T) {
	none := wsServer(t, nil, func(c *websocket.Conn) { _, _, _ = c.ReadMessage() })
	text := wsServer(t, []string{wsProtocol}, func(c *websocket.Conn) {
		_ = c.WriteMessage(websocket.TextMessage, []byte("hello"))
		_, _, _ = c.ReadMessage()
	})
	for _, tt := range []struct{ name, url, why string }{
		{"no subprotocol", none, `without the subprotocol "mqtt"`},
		{"text", text, "not binary"},
		{"another path", text + "/other", "403 Forbidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := linkTo(t, Server{URL: tt.url})
			runLink(t, l)
			awaitWhy(t, l, tt.why, "next attempt")
		})
	}
}

func TestServers(t *testing.T) {
	for _, tt := range []struct{ url, name, addr, err string }{
		{"mqtt://h", "mqtt://h", "h:1883", ""},
		{"mqtts://h", "mqtts://h", "h:8883", ""},
		{"ws://h/x", "ws://h/x", "h:80", ""},
		{"wss://[::1]:9", "wss://[::1]:9", "[::1]:9", ""},
		{"mqtt://u:secret@h:7", "mqtt://h:7", "h:7", ""},
		{"tcp://u:secret@h", "", "", "scheme must be"},
		{"mqtt://", "", "", "host is missing"},
		{"mqtt://u:secret@h:x", "", "", "not a URL"},
	} {
		e, err := newEndpoint(Server{URL: tt.url})
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", tt.url, err)
			}
			continue
		}
		if err != nil || e.name != tt.name || e.addr != tt.addr {
			t.Errorf("%s: %+v, %v", tt.url, e, err)
		}
	}
	e, _ := newEndpoint(Server{URL: "mqtt://u:secret@h"})
	if p, _ := e.password(); e.Username != "u" || p != "secret" {
		t.Errorf("user %q, password %q", e.Username, p)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := New(Options{MaxPacket: 5, StateTopic: "x"})
	for _, want := range []string{"client id is empty", "no server", "max packet of 5 bytes", `state topic "x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
}
