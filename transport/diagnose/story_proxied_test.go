package diagnose

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/linkbeat/linkbeat/transport/brokertest"
	"github.com/linkbeat/linkbeat/transport/brokerurl"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// startProxy serves each connection with serve, which returns the address to connect it to; empty: none.
func startProxy(t *testing.T, serve func(c net.Conn, r *bufio.Reader) string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				up, err := net.Dial("tcp", serve(c, r))
				if err != nil {
					return
				}
				defer up.Close()
				wg.Go(func() { _, _ = io.Copy(up, r); _ = up.Close() })
				_, _ = io.Copy(c, up)
			})
		}
	})
	return l.Addr().String()
}

// httpProxy wants the login "gw:secret".
func httpProxy(t *testing.T) string {
	return startProxy(t, func(c net.Conn, r *bufio.Reader) string {
		ask, err := http.ReadRequest(r)
		switch {
		case err != nil:
			return ""
		case ask.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("gw:secret")):
			_, _ = io.WriteString(c, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
			return ""
		case strings.HasSuffix(ask.Host, ":1"):
			_, _ = io.WriteString(c, "HTTP/1.1 403 Forbidden\r\n\r\n")
			return ""
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 Connection established\r\n\r\n")
		return ask.Host
	})
}

// socksProxy takes any login and connects to target whatever it is asked for, or refuses when that is empty (RFC 1928, section
// 6).
func socksProxy(t *testing.T, target string) string {
	return startProxy(t, func(c net.Conn, r *bufio.Reader) string {
		hello := make([]byte, 3)
		if _, err := io.ReadFull(r, hello); err != nil {
			return ""
		}
		_, _ = c.Write([]byte{5, 0})
		ask := make([]byte, 10) // to an address of four bytes
		if _, err := io.ReadFull(r, ask); err != nil {
			return ""
		}
		answer := []byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0}
		if target == "" {
			answer[1] = 2 // not allowed by ruleset
		}
		_, _ = c.Write(answer)
		return target
	})
}

func TestDiagnosisThroughAProxy(t *testing.T) {
	m := brokertest.Start(t, brokertest.Plain)
	plain, socks, strict := httpProxy(t), socksProxy(t, m.Addr()), socksProxy(t, "")
	for name, c := range map[string]struct {
		via, server string
		fault       Fault
	}{
		"CONNECT":             {"http://gw:secret@" + plain, m.Addr(), ""},
		"wrong login":         {"http://gw:wrong@" + plain, m.Addr(), FaultProxyLogin},
		"not there":           {"http://gw:secret@" + plain, "127.0.0.1:1", FaultProxy},
		"SOCKS":               {"socks5://" + socks, m.Addr(), ""},
		"SOCKS does not want": {"socks5://" + strict, m.Addr(), FaultProxy},
		"no proxy there":      {"http://" + m.Addr(), m.Addr(), FaultClosed},
	} {
		t.Run(name, func(t *testing.T) {
			via, err := netdial.NewProxy(brokerurl.URL(c.via))
			if err != nil {
				t.Fatal(err)
			}
			steps, names := diagnosed(t, Diagnosis{Server: netdial.Server{URL: brokerurl.URL("mqtt://" + c.server)},
				SessionID: session,
				Proxy:     via,
				Topics:    echoTopics("data")})
			want := "tcp, proxy"
			if c.fault == "" {
				want += ", connect, topics"
			}
			if names != want || steps["proxy"].Fault != c.fault {
				t.Errorf("%s: %+v", names, steps["proxy"])
			}
			for _, s := range steps {
				if strings.Contains(s.Text, "secret") || strings.Contains(s.Text, "wrong") {
					t.Errorf("the login shows: %s", s.Text)
				}
			}
		})
	}
}

// TestDiagnosisEndsThoughTheAnswerDoesNot: headers that do not end, of the server and of a proxy on the way.
func TestDiagnosisEndsThoughTheAnswerDoesNot(t *testing.T) {
	endless := func(begins string) string {
		return startProxy(t, func(c net.Conn, r *bufio.Reader) string {
			_, err := http.ReadRequest(r)
			for line := begins; err == nil; line = "X-Filler: of some length\r\n" {
				_, err = io.WriteString(c, line)
			}
			return ""
		})
	}
	server := endless("HTTP/1.1 101 X\r\n")
	proxy, err := netdial.NewProxy(brokerurl.URL("http://" + endless("HTTP/1.1 200 X\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		d     Diagnosis
		step  string
		fault Fault
	}{
		"WebSocket": {
			Diagnosis{Server: netdial.Server{URL: brokerurl.URL("ws://" + server)}, SessionID: session},
			StepWebSocket, FaultWebSocket,
		},
		"proxy": {Diagnosis{Server: netdial.Server{URL: "mqtt://broker"}, SessionID: session, Proxy: proxy},
			StepProxy, FaultProxy},
	} {
		steps, names := diagnosed(t, c.d)
		const want = "sent more than 16 KiB of headers before it answered"
		if s := steps[c.step]; s.Fault != c.fault || !strings.Contains(s.Text, want) {
			t.Errorf("%s: %s: %+v", name, names, s)
		}
	}
}
