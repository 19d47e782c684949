package hostile

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// operatorEdges are linkbeatctl's, of which a gateway, another tenant or the broker writes.
func (l lab) operatorEdges(b *kit.Broker) (all []edge, err error) {
	m, err := between(l.Env, b.Host(), nil)
	if err != nil {
		return nil, err
	}
	h, raw := quoted(hostileText()), hostileBytes()
	record := func(more string) []byte {
		return []byte(`{"seq":1,"ts":1795208591123,"epoch":"3f2a9c1e",` + more + `}`)
	}
	const up = "lb/gw/up/"
	m.say = func(write func([]byte) bool, quit <-chan struct{}) {
		for range 15 {
			for _, x := range []struct {
				topic   string
				payload []byte
			}{
				{up + "data/meter", record(`"text":` + h)},
				{up + "data/raw", []byte(raw)},
				{up + "data/" + hostileText(), record(`"text":"x"`)},
				{up + "data/epoch", []byte(`{"seq":1,"ts":1,"text":"x","epoch":` + h + `}`)},
				{up + "data/epoch2", []byte(`{"seq":9,"ts":1,"text":"x","epoch":` + h + `}`)},
				{up + "data/gap", record(`"gap":{"from":1,"to":40,"reason":` + h + `}`)},
				{up + "data/gap2", record(`"gap":{"from":1,"to":40,"reason":"full","epoch":` + h + `}`)},
				{up + "data/unit", record(`"values":{` + h + `:1,"b":` + h + `},"bad":{` + h + `:` + h + `}`)},
				{up + "data/senml", []byte(`[{"bn":` + h + `,"n":` + h + `,"vs":` + h + `,"u":` + h + `}]`)},
				{up + "data/hex", record(`"hex":` + h)},
				{up + "data/junk", []byte("{" + raw)},
				{up + "data/junk/gz", []byte(raw)},
				{up + "state", []byte(`{"online":true,"session":1,"epoch":` + h + `,"since":1,"version":` + h + `,"server":` +
					h + `}`)},
				{up + "info", []byte(`{"interval_s":20,"path":` + h + `,"facts":{` + h + `:` + h + `},"serial":{` + h +
					`:{"state":` + h +
					`,"port":` + h + `}},"ports":{` + h + `:` + h + `}}`)},
				{"lb/" + hostileText() + "/up/state", []byte(`{"online":true}`)},
				{"lb/" + hostileText() + "/up/data/x", record(`"text":"x"`)},
			} {
				if !write(publish(x.topic, x.payload, strings.HasSuffix(x.topic, "state") || strings.HasSuffix(x.topic,
					"info"), 0)) {
					return
				}
			}
			select {
			case <-quit:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
	server := []string{"--server", "mqtt://" + m.Addr}
	for _, argv := range [][]string{{"tail"}, {"tail", "--json"}, {"tail", "gw", "meter"}, {"devices"}, {"devices", "--json"},
		{"__complete", "tail", ""}, {"__complete", "send", "gw", ""}} {
		lasts := 1500 * time.Millisecond
		if argv[0] == "devices" {
			lasts = 10 * time.Second // it ends by itself
		}
		out, err := l.onTerminal(lasts, withServer(l.ctl, argv, server)...)
		all = append(all, edge{"linkbeatctl " + strings.Join(argv, " "), out, err, textOwn})
	}
	return all, nil
}

// replyEdges are answers to an operator, from a gateway that is a stranger's.
func (l lab) replyEdges(b *kit.Broker) (all []edge, err error) {
	h := quoted(hostileText())
	gw, err := l.Collect(kit.CollectOptions{URL: b.URL(), ID: "hostile-gateway", Filters: []string{"lb/gw-x/dn/#"}})
	if err != nil {
		return nil, err
	}
	go func() { // answers whatever comes, with the id that was asked
		for seen := 0; l.Ctx.Err() == nil; l.Sleep(20 * time.Millisecond) {
			for _, a := range gw.Arrivals()[seen:] {
				seen++
				id := between2(string(a.Payload), `"id":"`, `"`)
				to := strings.Replace(strings.TrimSuffix(strings.TrimSuffix(a.Topic, "/write"), "/request"), "/dn/cmd/",
					"/up/reply/", 1)
				answers := []string{`{"id":"` + id + `","ok":false,"error":` + h + `,"detail":` + h + `}`}
				switch {
				case strings.HasSuffix(a.Topic, "/console"):
					data := base64.StdEncoding.EncodeToString([]byte(hostileBytes()))
					answers = []string{`{"id":"` + id + `","seq":1,"op":"opened","mode":` + h + `,"baud":9600,"max":1000}`,
						`{"id":"` + id + `","seq":2,"op":"data","ts":1,"base64":"` + data + `"}`,
						`{"id":"` + id + `","seq":3,"op":"fault","error":` + h + `,"detail":` + h + `}`,
						`{"id":"` + id + `","seq":4,"op":"closed","error":` + h + `,"detail":` + h + `}`}
				case strings.Contains(a.Topic, "/boiler/"):
					answers = []string{`{"id":"` + id + `","ok":true,"values":{` + h + `:` + h + `}}`}
				case strings.HasSuffix(a.Topic, "/request"):
					answers = []string{`{"id":"` + id + `","ok":true,"text":` + h + `}`}
				}
				for _, p := range answers {
					_ = gw.Publish(l.Ctx, to, false, p)
				}
			}
		}
	}()
	for _, argv := range [][]string{{"send", "gw-x", "meter", "x"}, {"request", "gw-x", "meter", "x"}, {"tap", "gw-x", "meter"},
		{"send", "gw-x", "boiler", "--set", "x=1"}} {
		const ends = 12 * time.Second // each does by itself, long before
		out, err := l.onTerminal(ends, append(append([]string{l.ctl}, argv...), "--server", b.URL())...)
		all = append(all, edge{"linkbeatctl " + strings.Join(argv, " "), out, err, textOwn})
	}
	return all, nil
}

// withServer puts the flags behind the command, or before the word that is to be completed.
func withServer(program string, argv, server []string) []string {
	if argv[0] == "__complete" {
		return slices.Concat([]string{program}, argv[:len(argv)-1], server, argv[len(argv)-1:])
	}
	return slices.Concat([]string{program}, argv, server)
}

func between2(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// strange are servers that name themselves with control characters before anybody has checked who they are.
func (l lab) strange() (map[string]string, error) {
	urls := map[string]string{}
	var errs []error
	host := "localhost" // not among the names of the certificate: they are quoted then, before anybody has checked who signed it
	add := func(name, scheme string, serve func(net.Conn)) {
		addr, err := listen(l.Env, "127.0.0.1:0", serve)
		urls[name] = scheme + "://" + strings.Replace(addr, "127.0.0.1", host, 1)
		errs = append(errs, err)
	}
	cert, err := selfSigned(hostileText(), []string{"a.example", hostileASCII()})
	if err != nil { // Go refuses names beyond ASCII
		return nil, err
	}
	add("certificate", "mqtts", func(c net.Conn) {
		_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
	})
	add("status line", "ws", func(c net.Conn) {
		if _, _, err := request(c); err == nil {
			_, _ = c.Write([]byte("HTTP/1.1 418 " + strings.NewReplacer("\n", "", "\r", "").Replace(hostileBytes()) +
				"\r\nX: y\r\n\r\n"))
		}
	})
	add("CONNACK", "mqtt", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1000))
		// MQTT 5's reason string, which a broker may send to a client of 3.1.1 by mistake
		props := append([]byte{0x1f}, str(hostileText()[:200])...)
		_, _ = c.Write(packet{head: kindConnAck << 4, body: append([]byte{0, 0x87, byte(len(props))}, props...)}.bytes())
		_, _ = c.Write([]byte(hostileBytes()))
	})
	add("bytes", "mqtt", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1000))
		_, _ = c.Write([]byte("HTTP/1.1 400 " + hostileBytes() + "\r\n\r\n"))
	})
	return urls, errors.Join(errs...)
}

// hostileASCII is what fits into a name of a certificate, an IA5String.
func hostileASCII() string {
	var ascii []string
	for _, c := range controls() {
		if c[0] < 0x80 {
			ascii = append(ascii, c)
		}
	}
	return sentence + marked(ascii)
}

// refusalEdges are the operator's program before strange servers.
func (l lab) refusalEdges(*kit.Broker) (all []edge, err error) {
	urls, err := l.strange()
	if err != nil {
		return nil, err
	}
	for name, url := range urls {
		if !l.o.Full && name != "status line" {
			continue
		}
		out, err := l.onTerminal(8*time.Second, l.ctl, "devices", "--server", url)
		all = append(all, edge{"linkbeatctl devices, " + name, out, err, textOwn})
		out, err = l.onTerminal(3*time.Second, l.agent, "probe", url, "--max", "1s", "--min", "1s")
		all = append(all, edge{"linkbeat probe, " + name, out, err, textOwn})
	}
	return all, nil
}
