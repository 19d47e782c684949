package uplink

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
	"github.com/linkbeat/linkbeat/build/internal/servers"
)

const clusterNodes = 3

const (
	dark   = 3.0 // seconds that one kill may keep the gateway from sending, at the median
	judged = 10  // kills; a median of fewer is the draw's
)

// cluster kills the node that holds our session, again and again. Two subscribers with sessions that last read all frames back,
// each on a node of its own: NATS keeps what it accepted for them while their node is away.
//
// NATS elects the next leader of a stream only 4 to 9 s after it lost the last (minElectionTimeout in raft.go, read in 2.15.2;
// 2.9.10 was seen to do the same), and until then nobody can connect or publish anywhere. So that this weighs as in a cluster
// where leaders are where they happen to be, one node is made to lead all streams before each kill: in one kill of three the one
// with our session, in an order that is drawn. That one needs an election, and now and then one of a consumer, whose leaders
// nobody moves. The agent starts anew each time: what it learnt from twenty kills in a row says nothing of one.
func cluster(kills int) cell {
	name := fmt.Sprintf("NATS node with our session killed, %d times", kills)
	return cell{name, func(e *kit.Env, id string, t *kit.Table) error {
		s, c, err := natsSite(e, id)
		if err != nil {
			return err
		}
		defer s.close()
		t.Say("NATS: before each kill one node is made to lead all streams, in one kill of three the one that is killed, " +
			"and the agent begins")
		t.Say("anew. Left alone, the leaders gather where our session is, and each kill waits for NATS's own elections, " +
			"4 to 9 s each.")
		var up, acked, free []float64
		for i, from := range leaders(kills) {
			k, err := s.killHolder(c, i%clusterNodes, (i+from)%clusterNodes)
			if err != nil {
				return err
			}
			up, acked = append(up, k.up.Seconds()), append(acked, k.acked.Seconds())
			if !k.led {
				free = append(free, k.acked.Seconds())
			}
		}
		if row := name + ": dark until the next frame is acknowledged, median"; kills >= judged {
			t.Within(row, median(acked), dark, "s")
		} else {
			t.Info(row, median(acked), "s")
		}
		t.Info(name+": longest", slices.Max(acked), "s")
		t.Info(name+": until up at another node, median", median(up), "s")
		t.Info(name+": kills of the node that led the streams", float64(kills-len(free)), "")
		if len(free) > 0 {
			t.Info(name+": dark where the node led no stream, median", median(free), "s")
		}
		s.noneLost(t, name)
		return nil
	}}
}

func median(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

// natsSite is a site with a cluster, frames flowing.
func natsSite(e *kit.Env, id string) (*site, *servers.Cluster, error) {
	s, err := newSite(e, id, netlab.WaysOptions{Servers: clusterNodes})
	if err != nil {
		return nil, nil, err
	}
	c, err := servers.NATS(e, s.place(0), s.place(1), s.place(2))
	if err != nil {
		s.close()
		return nil, nil, err
	}
	var urls []string
	for _, n := range c.Nodes {
		s.ends = append(s.ends, n.Kill)
		urls = append(urls, n.URL())
	}
	for _, url := range urls[:2] {
		if err := s.read(url); err != nil {
			s.close()
			return nil, nil, err
		}
	}
	if err := s.start(nil, urls...); err != nil {
		s.close()
		return nil, nil, err
	}
	s.load(flowing)
	return s, c, nil
}

// kill is one of them; times are from the SIGKILL.
type kill struct {
	up, acked time.Duration
	led       bool // the node led the streams
}

// leaders says for each kill how far the leader is from the node that is killed: each distance as often as
// the others, in any order.
func leaders(kills int) []int {
	all := make([]int, kills)
	for i := range all {
		all[i] = (i + 1) % clusterNodes // so that one kill alone is not the leader's
	}
	rand.Shuffle(kills, func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// killHolder makes the agent prefer a node, kills that node when the session is there, and starts it again.
func (s *site) killHolder(c *servers.Cluster, node, leader int) (k kill, err error) {
	if err := c.Whole(); err != nil {
		return k, err
	}
	k.led = leader == node
	if err := c.Lead(leader); err != nil {
		return k, err
	}
	at := c.Nodes[node].URL()
	if err := s.restartAt(c, node); err != nil {
		return k, err
	}
	s.e.Sleep(settle)
	c.Nodes[node].Kill()
	killed := time.Now()
	err = s.e.Until("up at another node", time.Minute, func() bool {
		st := s.status().Uplink
		return st.State == "up" && st.Server != at
	})
	if err != nil {
		return k, err
	}
	k.up = time.Since(killed)
	if err := s.flows(time.Minute); err != nil {
		return k, err
	}
	k.acked = time.Since(killed)
	s.e.Logf("node %d killed, which led: %v; up after %.1f s, acknowledged after %.1f s", node, k.led, k.up.Seconds(),
		k.acked.Seconds())
	if err := c.Nodes[node].Start(); err != nil {
		return k, err
	}
	return k, c.Nodes[node].WaitReady()
}

// restartAt ends the agent in order and starts it with that node first, and waits until frames flow there.
func (s *site) restartAt(c *servers.Cluster, node int) error {
	if err := s.agent.Term(); err != nil {
		return err
	}
	var list []any
	for i := range c.Nodes {
		list = append(list, map[string]any{"url": c.Nodes[(node+i)%len(c.Nodes)].URL()})
	}
	if err := s.agent.Configure(s.doc.Set("uplink.servers", list)); err != nil {
		return err
	}
	if err := s.agent.StartUp(); err != nil {
		return err
	}
	if err := s.upAt(c.Nodes[node].URL(), 20*time.Second); err != nil {
		return err
	}
	return s.flows(20 * time.Second)
}
