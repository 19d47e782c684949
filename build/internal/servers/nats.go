package servers

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// natsWait is how long a cluster may take to elect its leaders: NATS waits 4 to 9 s before each election.
const natsWait = 60 * time.Second

// Cluster is NATS with JetStream and MQTT: what MQTT clients leave there is kept by as many nodes as there are, up to three.
type Cluster struct {
	Nodes []*Server

	e       *kit.Env
	client  []string // of each node, host:port of NATS's own protocol
	monitor []string // of each node, host:port
}

// NATS runs a cluster, one node at each place, and returns when a client may connect to any of them.
func NATS(e *kit.Env, at ...Place) (*Cluster, error) {
	c := &Cluster{e: e}
	var routes []string
	var ports [][3]int // cluster, client, monitor
	for _, p := range at {
		s, err := newServer(e, "nats-server", p)
		if err != nil {
			return nil, err
		}
		var more [3]int
		for i := range more {
			if more[i], err = kit.FreePort("127.0.0.1"); err != nil {
				return nil, err
			}
		}
		c.Nodes, ports, routes = append(c.Nodes, s), append(ports, more), append(routes, "nats://"+p.host(more[0]))
		c.client, c.monitor = append(c.client, p.host(more[1])), append(c.monitor, p.host(more[2]))
	}
	for i, s := range c.Nodes {
		path, err := s.file("nats.conf", natsConf(s, i, ports[i], routes))
		if err != nil {
			return nil, err
		}
		s.argv, s.wait = []string{"nats-server", "-c", path}, natsWait
		s.ready = func() bool { return c.ask(i, "/healthz?js-server-only=true", nil) }
		if err := s.Start(); err != nil {
			return nil, err
		}
	}
	for _, s := range c.Nodes {
		if err := s.WaitReady(); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func natsConf(s *Server, i int, ports [3]int, routes []string) string {
	return fmt.Sprintf(`server_name: n%d
listen: %q
http: %q
jetstream { store_dir: %q, max_memory_store: 64MB, max_file_store: 1GB }
mqtt { listen: %q, stream_replicas: %d }
cluster { name: lab, listen: %q, routes: [%s] }
`, i, s.at.host(ports[1]), s.at.host(ports[2]), filepath.Join(s.dir, "js"), s.Host, min(3, len(routes)), s.at.host(ports[0]),
		strings.Join(routes, ", "))
}

// ask wants 200 from a node's monitor, and reads the answer into v when that is not nil.
func (c *Cluster) ask(i int, path string, v any) bool {
	s := c.Nodes[i]
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DialContext: kit.Dialer(s.at.Netns),
		DisableKeepAlives: true}}
	resp, err := client.Get("http://" + c.monitor[i] + path)
	if err != nil {
		s.said = err.Error()
		return false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || resp.StatusCode != http.StatusOK {
		s.said = fmt.Sprintf("%v %.500s", err, b)
		return false
	}
	return v == nil || json.Unmarshal(b, v) == nil
}
