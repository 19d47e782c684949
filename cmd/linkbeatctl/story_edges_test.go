package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable/printabletest"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// hostile is every control character that a JSON string or a topic can hold, between marks.
func hostile() string { return printabletest.Join(printabletest.Text()) }

// doc is a JSON object of names and values, alternating, the values as they are.
func doc(pairs ...string) string {
	var parts []string
	for i := 0; i < len(pairs); i += 2 {
		parts = append(parts, quoted(pairs[i])+":"+pairs[i+1])
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// quoted leaves in raw what Go's encoder does: DEL, C1, bidi controls.
func quoted(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always can
	return strings.TrimSpace(b.String())
}

// startHostile is a broker whose gateways, and whose every topic and payload, are a stranger's.
func startHostile(t *testing.T) (url string) {
	t.Helper()
	h := quoted(hostile())
	record := func(more ...string) string {
		return doc(append([]string{"seq", "1", "ts", "0", "epoch", `"3f2a9c1e"`}, more...)...)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var b *transporttest.Broker
	say := func(topic, payload string, retain bool) {
		b.Publish(transporttest.Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: retain})
	}
	b = transporttest.NewBroker(transporttest.Hooks{
		OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
			var sent struct{ ID, Op string }
			_ = json.Unmarshal(m.Payload, &sent)
			id := quoted(sent.ID)
			switch m.Topic {
			case "lb/gw/dn/cmd/meter/write":
				say("lb/gw/up/reply/meter", doc("id", id, "ok", "false", "error", h, "detail", h), false)
			case "lb/gw/dn/cmd/boiler/write":
				say("lb/gw/up/reply/boiler", doc("id", id, "ok", "true", "values", doc(hostile(), h), "bad", doc(hostile(), h)),
					false)
			case "lb/gw/dn/cmd/meter/request":
				say("lb/gw/up/reply/meter", doc("id", id, "ok", "true", "frames", "["+doc("text", h)+","+doc("hex",
					h)+","+doc("base64", h)+"]"), false)
			case "lb/gw/dn/cmd/meter/console":
				if sent.Op == "tap" {
					say("lb/gw/up/reply/meter/console", doc("id", id, "seq", "1", "op", `"opened"`, "mode", h), false)
					say("lb/gw/up/reply/meter/console", doc("id", id, "seq", "2", "op", `"data"`, "base64", `"G1sySv+bfwoN"`),
						false)
					say("lb/gw/up/reply/meter/console", doc("id", id, "seq", "3", "op", `"fault"`, "error", h, "detail", h),
						false)
					say("lb/gw/up/reply/meter/console", doc("id", id, "seq", "4", "op", `"closed"`, "error", h, "detail", h),
						false)
				} else {
					say("lb/gw/up/reply/meter/console", doc("id", id, "seq", "1", "op", `"closed"`, "error", `"denied"`, "detail",
						h), false)
				}
			}
			return transporttest.Take
		},
		OnSubscribe: func(_, filter string) byte {
			if strings.HasPrefix(filter, "lb/gw/up/data/") || filter == "lb/+/up/data/+" {
				say("lb/gw/up/data/meter", record("text", h), true)
				say("lb/gw/up/data/values", record("values", doc(hostile(), h)), true)
				say("lb/gw/up/data/gap", record("gap", doc("from", "1", "to", "2", "reason", h)), true)
				say("lb/gw/up/data/gapepoch", record("gap", doc("from", "1", "to", "2", "reason", `"full"`, "epoch", h)), true)
				say("lb/gw/up/data/epoch", doc("seq", "9", "ts", "0", "epoch", h, "text", h), true)
				say("lb/gw/up/data/raw", printabletest.Join(printabletest.Controls()), true)
				say("lb/gw/up/data/"+hostile(), record("text", h), true)
				say("lb/gw/up/data/"+hostile()+"/gz", "no gzip", true)
				say("lb/gw/up/data/zz", record("text", `"the last one"`), true)
			}
			return 1
		},
	})
	for _, id := range []string{"gw", hostile()} {
		say("lb/"+id+"/up/state", doc("online", "true", "version", h, "server", h), true)
		say("lb/"+id+"/up/info", doc("ports", doc(hostile(), doc("port", h, "state", h, "why", h)), "facts", doc(hostile(), h)),
			true)
	}
	b.Serve(l)
	t.Cleanup(b.Close)
	return "mqtt://" + l.Addr().String()
}

// startTLS is a man in the middle without a key of anybody's: its certificate is its own, and so are the names in it.
func startTLS(t *testing.T) (url string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var ascii []string // an IA5String has no others
	for _, c := range printabletest.Text() {
		if len(c.Text) == 1 {
			ascii = append(ascii, printabletest.Marked(c))
		}
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hostile()},
		NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{strings.Join(ascii, "")}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der},
		PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go serve(l, func(c net.Conn) { _ = c.(*tls.Conn).Handshake() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return "mqtts://localhost:" + port
}

// startHTTP answers a WebSocket's handshake with a status line of its own.
func startHTTP(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	status := strings.ReplaceAll(printabletest.Join(printabletest.Controls()), "\n", "")
	go serve(l, func(c net.Conn) {
		_, _ = bufio.NewReader(c).ReadString('\n')
		_, _ = c.Write([]byte("HTTP/1.1 403 " + status + "\r\nX-Why: " + status + "\r\nContent-Length: 0\r\n\r\n"))
	})
	return "ws://" + l.Addr().String()
}

func serve(l net.Listener, each func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		each(c)
		_ = c.Close()
	}
}

// TestNoControlOfAStrangerReachesTheTerminal: every command that shows what others wrote, every control character.
func TestNoControlOfAStrangerReachesTheTerminal(t *testing.T) {
	broker := startHostile(t)
	withTLS, withHTTP := startTLS(t), startHTTP(t)
	for _, tt := range []struct {
		name, server string
		args         []string
		shows        string // so that it is known to have come that far
		raw          bool   // standard output is raw by design
	}{
		{"devices", broker, []string{"devices", "--settle", "200ms"}, `<0:\x01:0>`, false},
		{"devices as JSON", broker, []string{"devices", "--settle", "200ms", "--json"}, `<0:\u0001:0>`, false},
		{"completion of a gateway", broker, []string{"__complete", "tail", ""}, "gw\n", false},
		{"completion of a name", broker, []string{"__complete", "tail", "gw", ""}, "", false},
		{"tail", broker, []string{"tail", "gw", "-n", "5"}, `is not a word`, false},
		{"tail as JSON", broker, []string{"tail", "gw", "-n", "5", "--json"}, `<0:\u0001:0>`, false},
		{"tail, bytes", broker, []string{"tail", "gw", "-n", "9", "--raw"}, `is not a word`, true},
		{"tail of all", broker, []string{"tail", "-n", "5"}, `gw/<0:\x01:0>`, false},
		{"send, refused", broker, []string{"send", "gw", "meter", "x", "--timeout", "5s"}, `<0:\x01:0>`, false},
		{"values", broker, []string{"send", "gw", "boiler", "--set", "on=true", "--timeout", "5s"}, `<0:\x01:0>`, false},
		{"request", broker, []string{"request", "gw", "meter", "x", "--timeout", "5s"}, `<0:\x01:0>`, false},
		{"request as JSON", broker, []string{"request", "gw", "meter", "x", "--timeout", "5s", "--json"}, `<0:\u0001:0>`, false},
		{"console, refused", broker, []string{"console", "gw", "meter"}, `<0:\x01:0>`, false},
		{"tap", broker, []string{"tap", "gw", "meter"}, "1b 5b 32 4a ff 9b 7f 0a 0d", false},
		{"tap, ended", broker, []string{"tap", "gw", "meter"}, `<0:\x01:0>`, false},
		{"names in a certificate", withTLS, []string{"devices"}, `<0:\x01:0>`, false},
		{"a status line", withHTTP, []string{"devices"}, `<0:\x01:0>`, false},
		{"a name on the command line", broker, []string{"tail", hostile()}, `<0:\x01:0>`, false},
		{"a command", broker, []string{hostile()}, `\x01`, false},
		{"a server", hostile(), []string{"devices"}, `not a URL`, false},
		{"a flag", broker, []string{"tail", "--" + hostile()}, `<0:\x01:0>`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 4*time.Second)
			defer stop()
			var out, err bytes.Buffer
			env := func(name string) (string, bool) { return tt.server, name == "LINKBEATCTL_SERVER" }
			run(ctx, tt.args, streams{strings.NewReader(""), &out, &err, env})
			both := err.Bytes()
			if !tt.raw {
				both = append(both, out.Bytes()...)
			}
			if passed := printabletest.Passed(both); passed != nil {
				t.Errorf("%v pass:\n%q", passed, both)
			}
			if !bytes.Contains(both, []byte(tt.shows)) {
				t.Errorf("%q is not shown:\n%s", tt.shows, both)
			}
		})
	}
}
