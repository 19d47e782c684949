package transport

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/linkbeat/linkbeat/transport/brokertest"
)

func TestReconnectResumesTLS(t *testing.T) {
	a := brokertest.NewAuthority(t, "ca")
	a.Issue("server", brokertest.OnLoopback)
	a.Issue("gw-1", brokertest.Named("gw-1"))
	m := brokertest.Start(t, brokertest.TLS(a, "server", "mqtt"))
	l := linkWith(t, func(o *Options) { o.Backoff.Min = time.Millisecond },
		Server{URL: URL("mqtts://" + m.Addr()), TLS: tlsOptions(a, "gw-1")})
	runLink(t, l)
	awaitUp(t, l)
	full := l.Status().Bytes.Handshake
	again(t, l)
	resumed := l.Status().Bytes.Handshake - full
	s, _ := l.health.current()
	if !s.stream.Conn.(*tls.Conn).ConnectionState().DidResume || resumed >= full {
		t.Errorf("first handshake %d bytes, second %d: not resumed", full, resumed)
	}
	t.Logf("first handshake %d bytes, second %d", full, resumed)
}

// wsServer speaks WebSocket and hands each connection to serve.
func wsServer(t *testing.T, protocols []string, serve func(*websocket.Conn)) string {
	t.Helper()
	u := websocket.Upgrader{Subprotocols: protocols}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mqtt" {
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
	url := wsServer(t, []string{"mqtt"}, func(c *websocket.Conn) {
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
	l := linkTo(t, Server{URL: URL(url)})
	l.o.StateTopic = "" // nothing to subscribe to
	runLink(t, l)
	awaitUp(t, l)
	if got := await(t, "pong", pong); got != "there?" {
		t.Errorf("got %q", got)
	}
}

func TestWebSocketFaults(t *testing.T) {
	none := wsServer(t, nil, func(c *websocket.Conn) { _, _, _ = c.ReadMessage() })
	text := wsServer(t, []string{"mqtt"}, func(c *websocket.Conn) {
		_ = c.WriteMessage(websocket.TextMessage, []byte("hello"))
		_, _, _ = c.ReadMessage()
	})
	for _, tt := range []struct{ name, url, why string }{
		{"no subprotocol", none, `without the subprotocol "mqtt"`},
		{"text", text, "not binary"},
		{"another path", text + "/other", "403 Forbidden"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := linkTo(t, Server{URL: URL(tt.url)})
			runLink(t, l)
			awaitWhy(t, l, tt.why, "next attempt")
		})
	}
}
