package uplink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
	"github.com/linkbeat/linkbeat/build/internal/servers"
)

// Schemes of uplink.proxy.
const (
	httpProxy  = "http"
	socksProxy = "socks5"
)

// proxied reaches a broker that only the proxy can reach.
func proxied(scheme string) cell {
	name := map[string]string{httpProxy: "through tinyproxy (CONNECT)", socksProxy: "through microsocks (SOCKS5)"}[scheme]
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, err := newSite(e, id, netlab.WaysOptions{Servers: 1})
		if err != nil {
			return err
		}
		defer s.close()
		b, err := s.mosquitto(s.ways.Hidden)
		if err != nil {
			return err
		}
		run := servers.Tinyproxy
		if scheme == socksProxy {
			run = servers.Microsocks
		}
		p, err := run(e, s.place(0))
		if err != nil {
			return err
		}
		s.ends = append(s.ends, p.Kill)
		if err := s.start(func(d kit.Doc) { d.Set("uplink.proxy", scheme+"://"+p.Host) }, b.URL()); err != nil {
			return err
		}
		s.load(flowing)
		if err := s.commands(3); err != nil {
			return err
		}
		t.Check(name+": commands", nil)
		drops := s.status().Uplink.Drops
		p.Kill()
		killed := time.Now()
		took, err := s.lostSince(killed, drops, 2*detectWithin)
		if err != nil {
			return err
		}
		t.Within(name+", proxy killed: noticed", took.Seconds(), atOnce.Seconds(), "s")
		if err := p.Start(); err != nil {
			return err
		}
		if err := s.upAt(b.URL(), time.Minute); err != nil {
			return err
		}
		s.noneLost(t, name)
		return nil
	}}
}

// commands sends that many writes through the first book's broker and wants each at the serial port, and its answer in a book.
func (s *site) commands(n int) error {
	for i := range n {
		token := fmt.Sprintf("cmd-%s-%d", s.id, i)
		payload, err := json.Marshal(map[string]any{"id": token, "expires": time.Now().Add(time.Minute).UnixMilli(),
			"text": token})
		if err != nil {
			return err
		}
		if err := s.books[0].Publish(s.e.Ctx, s.agent.Topic("dn/cmd/meter/write"), false, payload); err != nil {
			return err
		}
		err = s.e.Until(token+" at the port and its answer", 10*time.Second, func() bool {
			return bytes.Contains(s.tty.Received(), []byte(token)) && s.answered(token)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *site) answered(token string) bool {
	for _, a := range s.books[0].Arrivals(s.agent.Topic("up/reply/meter")) {
		if bytes.Contains(a.Payload, []byte(token)) {
			return true
		}
	}
	return false
}

// rabbit is the third kind of broker.
func rabbit() cell {
	const name = "RabbitMQ"
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, err := newSite(e, id, netlab.WaysOptions{Servers: 1})
		if err != nil {
			return err
		}
		defer s.close()
		r, err := servers.RabbitMQ(e, s.place(0))
		if err != nil {
			return err
		}
		s.ends = append(s.ends, r.Kill)
		if err := s.read(r.URL()); err != nil {
			return err
		}
		if err := s.start(nil, r.URL()); err != nil {
			return err
		}
		s.load(flowing)
		t.Check(name+": commands at the port and answered", s.commands(5))
		e.Sleep(3 * time.Second)
		s.noneLost(t, name)
		return nil
	}}
}
