package servers

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// natsWait is how long a cluster may take to elect its leaders: NATS waits 4 to 9 s before each election.
const natsWait = 60 * time.Second

// NATS runs a cluster of nats-server with JetStream and MQTT, one node at each place; what MQTT clients leave there is kept by
// as many nodes as there are, up to three. It returns when every node says that it is healthy.
func NATS(e *kit.Env, at ...Place) ([]*Server, error) {
	var nodes []*Server
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
		nodes, ports, routes = append(nodes, s), append(ports, more), append(routes, "nats://"+p.host(more[0]))
	}
	for i, s := range nodes {
		path, err := s.file("nats.conf", natsConf(s, i, ports[i], routes))
		if err != nil {
			return nil, err
		}
		s.argv, s.wait = []string{"nats-server", "-c", path}, natsWait
		s.ready = s.healthy(s.at.host(ports[i][2]))
		if err := s.Start(); err != nil {
			return nil, err
		}
	}
	for _, s := range nodes {
		if err := s.WaitReady(); err != nil {
			return nil, err
		}
	}
	return nodes, nil
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

// healthy asks the node's monitor whether JetStream is there and every stream up to date.
func (s *Server) healthy(monitor string) func() bool {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DialContext: kit.Dialer(s.at.Netns), DisableKeepAlives: true}}
	return func() bool {
		resp, err := client.Get("http://" + monitor + "/healthz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}
}
