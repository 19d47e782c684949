package delivered

import (
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/servers"
)

// healthyFor is how long a healthy gateway must say nothing, in the short form: longer than any sentence takes there.
const healthyFor = 15 * time.Second

// healthy runs gateways that nothing is wrong with: no sentence of this laboratory appears, nor any other.
func (l lab) healthy() error {
	var jobs []func() error
	for name, p := range map[string]place{
		"mosquitto":                                 {},
		"mosquitto, rules of linkbeatctl acl":       {acl: rulesOfItsOwn},
		"mosquitto, through a proxy without MQTT 5": {front: &front{old: true}},
		"mosquitto, two devices, one in batches": {devices: []device{meter(), {name: "pump", rate: 20, size: 60}},
			doc: func(d kit.Doc) { d.Set("serial.pump.batch", map[string]any{"frames": 20, "delay": "2s"}) }},
		"mosquitto, detect_within 10 s, frames of 1.5 kB": {devices: []device{meter(), {name: "camera", rate: 2, size: 1500}},
			doc: func(d kit.Doc) { d.Set("uplink.detect_within", "10s") }},
	} {
		jobs = append(jobs, func() error {
			id := "gw-well-" + strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
					return r
				}
				return -1
			}, name)
			s, err := l.at(id, p)
			if s != nil {
				defer s.end()
			}
			if err == nil {
				err = l.well(name, s)
			}
			return err
		})
	}
	return kit.SideBySide(len(jobs), jobs)
}

// healthyElsewhere is the same at other servers.
func (l lab) healthyElsewhere() error {
	cluster, err := servers.NATS(l.Env, servers.Place{}, servers.Place{}, servers.Place{}) // fewer elect nobody
	if err != nil {
		return err
	}
	rabbit, err := servers.RabbitMQ(l.Env, servers.Place{})
	if err != nil {
		return err
	}
	var jobs []func() error
	for name, url := range map[string]string{"nats": cluster.Nodes[0].URL(), "rabbitmq": rabbit.URL()} {
		jobs = append(jobs, func() error {
			s := l.alone("gw-well-" + name)
			s.p.user = "guest"
			defer s.end()
			if err := s.before(url, url); err != nil {
				return err
			}
			delete(s.doc["uplink"].(map[string]any), "username")
			if err := s.agent.Configure(s.doc); err != nil {
				return err
			}
			return l.well(name, s)
		})
	}
	return kit.SideBySide(len(jobs), jobs)
}

// well runs one, and wants nothing but silence.
func (l lab) well(name string, s *stand) error {
	if err := s.agent.Start(); err != nil {
		return err
	}
	if err := s.agent.WaitUp(30 * time.Second); err != nil {
		return err
	}
	s.seen = s.follow()
	s.play()
	lasts := healthyFor
	if l.o.Full {
		lasts = 3 * time.Minute
	}
	l.Sleep(lasts)
	out, code, err := s.command(time.Minute, "diag")
	if err != nil {
		return err
	}
	l.t.Exactly("healthy, "+name+": diag exits", code, 0, "", worst(out))
	s.quiet()
	c, err := s.settle(20 * time.Second)
	if err != nil {
		return err
	}
	l.t.Exactly("healthy, "+name+": frames lost", c.missing(), 0, "", c.String())
	l.t.Exactly("healthy, "+name+": frames twice", c.twice, 0, "", c.String())
	all := s.seen.all()
	found := 0
	for _, sentence := range sentences() {
		if strings.Contains(strings.Join(all, "\n"), sentence) {
			found++
		}
	}
	l.t.Exactly("healthy, "+name+": sentences of this laboratory in why", found, 0, "", strings.Join(all, "\n"))
	l.t.Exactly("healthy, "+name+": sentences in why", len(all), 0, "", strings.Join(all, "\n"))
	return nil
}
