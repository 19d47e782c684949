package labuplink

import (
	"fmt"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/servers"
	"github.com/linkbeat/linkbeat/build/lab"
)

const clusterNodes = 3

// cluster kills the node that holds our session, again and again. Two subscribers with sessions that last read all frames back, each
// on a node of its own: NATS keeps what it accepted for them while their node is away.
func cluster(kills int) cell {
	name := fmt.Sprintf("NATS node with our session killed, %d times", kills)
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, err := newSite(e, id, lab.WaysOptions{Servers: clusterNodes})
		if err != nil {
			return err
		}
		defer s.close()
		c, err := servers.NATS(e, s.place(0), s.place(1), s.place(2))
		if err != nil {
			return err
		}
		var urls []string
		for _, n := range c.Nodes {
			s.ends = append(s.ends, n.Kill)
			urls = append(urls, n.URL())
		}
		for _, url := range urls[:2] {
			if err := s.read(url); err != nil {
				return err
			}
		}
		if err := s.start(nil, urls...); err != nil {
			return err
		}
		s.load(flowing)
		var up, acked []float64
		for range kills {
			u, a, err := s.killHolder(c)
			if err != nil {
				return err
			}
			up, acked = append(up, u.Seconds()), append(acked, a.Seconds())
		}
		slices.Sort(up)
		slices.Sort(acked)
		t.AtMost(name+": dark until up at another node, median", up[len(up)/2], 3, "s")
		t.Info(name+": dark until up at another node, longest", up[len(up)-1], "s")
		t.Info(name+": until the next frame is acknowledged, median", acked[len(acked)/2], "s")
		t.Info(name+": until the next frame is acknowledged, longest", acked[len(acked)-1], "s")
		s.noneLost(t, name)
		return nil
	}}
}

// killHolder kills the node that the agent is connected to and starts it again; the times are from the kill.
func (s *site) killHolder(c *servers.Cluster) (up, acked time.Duration, err error) {
	if err := c.Whole(); err != nil {
		return 0, 0, err
	}
	if err := s.flows(time.Minute); err != nil {
		return 0, 0, err
	}
	at := s.status().Uplink.Server
	i := slices.IndexFunc(c.Nodes, func(n *servers.Server) bool { return n.URL() == at })
	if i < 0 {
		return 0, 0, fmt.Errorf("the agent is at %q, which is no node", at)
	}
	led := c.Leads(i)
	c.Nodes[i].Kill()
	killed := time.Now()
	err = s.e.Until("up at another node", time.Minute, func() bool {
		st := s.status().Uplink
		return st.State == "up" && st.Server != at
	})
	if err != nil {
		return 0, 0, err
	}
	up = time.Since(killed)
	if err := s.flows(time.Minute); err != nil {
		return 0, 0, err
	}
	acked = time.Since(killed)
	s.e.Logf("node %d killed: up after %.1f s, acknowledged after %.1f s; it led %v", i, up.Seconds(), acked.Seconds(), led)
	if err := c.Nodes[i].Start(); err != nil {
		return 0, 0, err
	}
	return up, acked, c.Nodes[i].WaitReady()
}
