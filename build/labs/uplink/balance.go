package uplink

import (
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
	"github.com/linkbeat/linkbeat/build/internal/servers"
)

const (
	balancerIdle = 5 * time.Second
	maxSession   = 20 * time.Second
	takenOut     = 2 * time.Second // until haproxy knows that a backend is gone or back
)

// behindHAProxy is a site whose only server is a load balancer in front of that many mosquittos, which
// know nothing of each other.
func behindHAProxy(e *kit.Env, id string, idle time.Duration, backends int, tweak func(kit.Doc)) (*site, []*kit.Broker, error) {
	s, err := newSite(e, id, netlab.WaysOptions{Servers: backends + 1})
	if err != nil {
		return nil, nil, err
	}
	var brokers []*kit.Broker
	var hosts []string
	for _, ip := range s.ways.ServerIPs[:backends] {
		b, err := s.mosquitto(ip)
		if err != nil {
			s.close()
			return nil, nil, err
		}
		brokers, hosts = append(brokers, b), append(hosts, b.Host())
	}
	h, err := servers.HAProxy(e, s.place(backends), idle, hosts...)
	if err == nil {
		s.ends = append(s.ends, h.Kill)
		err = s.start(tweak, h.URL())
	}
	if err != nil {
		s.close()
		return nil, nil, err
	}
	return s, brokers, nil
}

// balanced stops the backend that holds our session; then, with max_session, the one that returns gets its share back.
func balanced() cell {
	name := "behind haproxy"
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, brokers, err := behindHAProxy(e, id, balancerIdle, 2,
			func(d kit.Doc) { d.Set("uplink.max_session", maxSession.String()) })
		if err != nil {
			return err
		}
		defer s.close()
		s.load(flowing)
		i := 0
		if brokers[1].Connects(id) > 0 {
			i = 1
		}
		if err := brokers[i].Stop(); err != nil { // in order: after a SIGKILL it would know nothing of its subscriber, our books
			return err
		}
		killed := time.Now()
		if err := brokers[1-i].WaitConnect(id, 1, 30*time.Second); err != nil {
			return err
		}
		t.Within(name+", backend stopped: at the other", time.Since(killed).Seconds(), detectWithin.Seconds(), "s")
		if err := brokers[i].Start(); err != nil {
			return err
		}
		e.Sleep(takenOut)
		before := s.status().Uplink
		had := brokers[i].Connects(id)
		back := time.Now()
		if err := brokers[i].WaitConnect(id, had+1, 2*maxSession); err != nil {
			return err
		}
		t.Within(name+", max_session 20 s: the recovered backend has its share after", time.Since(back).Seconds(),
			1.1*maxSession.Seconds()+5, "s")
		e.Sleep(settle)
		after := s.status().Uplink
		t.Exactly(name+", max_session 20 s: drops", int(after.Drops-before.Drops), 0, "", "a planned re-dial is none")
		s.noneLost(t, name)
		return nil
	}}
}

// idleBalancer lets the heartbeat find out what the load balancer takes for idle. It has one backend: with several that know
// nothing of each other, what the main link publishes may never come to a probe, and nothing is learnt (nor lost).
func idleBalancer() cell {
	name := "behind haproxy that closes what is idle for 10 s"
	const closes = 10 * time.Second
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, _, err := behindHAProxy(e, id, closes, 1, func(d kit.Doc) {
			d.Set("heartbeat.learn", "fast").Set("heartbeat.min", "2s").Set("heartbeat.max", "60s").
				Set("heartbeat.probe_after", "0s").
				Set("heartbeat.probe_budget", map[string]any{"month": "64MiB", "burst": "16MiB"})
		})
		if err != nil {
			return err
		}
		defer s.close()
		st := s.status()
		err = e.Until("the heartbeat to be settled", 30*closes, func() bool {
			st = s.status()
			return st.Heartbeat.Phase == "settled"
		})
		if err != nil {
			return err
		}
		e.Logf("settled: %+v", st.Heartbeat)
		t.AtLeast(name+": interval / limit", st.Heartbeat.IntervalS/closes.Seconds(), 0.85, "")
		e.Sleep(3 * closes)
		t.Exactly(name+": drops", int(s.status().Uplink.Drops), 0, "", s.status().Why)
		return nil
	}}
}
