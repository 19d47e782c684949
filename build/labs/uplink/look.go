package uplink

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// status is what /status says; a page that does not answer says that nothing is up.
func (s *site) status() *kit.Status {
	st, err := s.agent.Status()
	if err != nil {
		return &kit.Status{}
	}
	return st
}

// lostSince waits until the agent counts its connection as lost, and says how long that took.
func (s *site) lostSince(event time.Time, drops int64, limit time.Duration) (time.Duration, error) {
	err := s.e.Until("the loss", limit, func() bool {
		st, err := s.agent.Status()
		return err == nil && (st.Uplink.State != "up" || st.Uplink.Drops > drops)
	})
	return time.Since(event), err
}

// upAt waits until the uplink is up at that server.
func (s *site) upAt(url string, limit time.Duration) error {
	var last *kit.Status
	err := s.e.Until("up at "+url, limit, func() bool {
		last = s.status()
		return last.Uplink.State == "up" && last.Uplink.Server == url
	})
	if err != nil {
		err = fmt.Errorf("%w: %s at %s; why: %s", err, last.Uplink.State, last.Uplink.Server, last.Why)
	}
	return err
}

// port is the local port of the connection to host:port: the same port is the same connection.
func (s *site) port(host string) (port int, queued int64, err error) {
	socks, err := s.agent.Proc().Established(host)
	if err != nil {
		return 0, 0, err
	}
	if len(socks) != 1 {
		return 0, 0, fmt.Errorf("%d connections to %s, want 1: %+v", len(socks), host, socks)
	}
	return socks[0].LocalPort, socks[0].TxQueue, nil
}

// connection is what must stay as it is for "the same connection".
type connection struct {
	port           int
	drops, redials int64
}

func (s *site) connection(host string) (connection, error) {
	port, _, err := s.port(host)
	if err != nil {
		return connection{}, err
	}
	st, err := s.agent.Status()
	if err != nil {
		return connection{}, err
	}
	return connection{port, st.Uplink.Drops, st.Uplink.Redials}, nil
}

// flows waits until one more frame was acknowledged.
func (s *site) flows(limit time.Duration) error {
	before := s.status().Spool.Acked
	return s.e.Until("a PUBACK", limit, func() bool { return s.status().Spool.Acked > before })
}
