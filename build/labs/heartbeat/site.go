package heartbeat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
	"github.com/linkbeat/linkbeat/build/internal/netlab"
)

const detectWithin = 6 * time.Second

// site is one gateway behind one NAT.
type site struct {
	e      *kit.Env
	id     string
	nat    *netlab.NATLab
	broker *kit.Broker
	agent  *kit.Agent
	tty    *kit.Pty
	sender *kit.Collector // in the server's namespace, as an operator is
	sent   int
}

func newSite(e *kit.Env, id string, b netlab.Behaviour, limit time.Duration, tweak func(kit.Doc)) (*site, error) {
	s := &site{e: e, id: id}
	var err error
	if s.nat, err = netlab.NewNAT(e, b, limit); err != nil {
		return nil, err
	}
	if s.broker, err = e.Broker(kit.BrokerOptions{Netns: s.nat.Server, Addr: netlab.NATServerIP}); err != nil {
		return nil, err
	}
	if s.tty, err = e.Pty(id); err != nil {
		return nil, err
	}
	doc := kit.NewDoc(id, s.broker.URL()).Line("meter", s.tty.Port).Set("serial.meter.commands", true).
		Set("uplink.detect_within", detectWithin.String()).
		Set("heartbeat.learn", "fast").Set("heartbeat.min", "2s").Set("heartbeat.max", "60s").Set("heartbeat.probe_after", "0s").
		Set("heartbeat.probe_budget", map[string]any{"month": "64MiB", "burst": "16MiB"})
	if tweak != nil {
		tweak(doc)
	}
	if s.agent, err = e.Agent(kit.AgentOptions{Doc: doc, Netns: s.nat.Device}); err != nil {
		return nil, err
	}
	if s.sender, err = e.Collect(kit.CollectOptions{URL: s.broker.URL(), ID: "operator",
		Filters: []string{"lb/" + id + "/up/reply/#"}, Dial: s.broker.Dial}); err != nil {
		return nil, err
	}
	return s, s.agent.StartUp()
}

// close takes down what this site runs, so that the others have the machine for themselves.
func (s *site) close() {
	s.agent.Kill()
	s.broker.Kill()
	s.tty.Unplug()
}

// settled waits until the search has ended, and returns the status then.
func (s *site) settled(limit time.Duration) (st *kit.Status, took time.Duration, err error) {
	start := time.Now()
	err = s.e.Until(s.id+": settled", limit, func() bool {
		var now *kit.Status
		if now, err = s.agent.Status(); err == nil {
			st = now
		}
		return st != nil && st.Heartbeat.Phase == "settled"
	})
	if err != nil && st != nil {
		b, _ := json.Marshal(st.Heartbeat)
		err = fmt.Errorf("%w: %s; why: %s", err, b, st.Why)
	}
	return st, time.Since(start), err
}

// command sends a write and reports whether it came out of the serial port in time.
func (s *site) command(within time.Duration) (bool, error) {
	s.sent++
	token := fmt.Sprintf("cmd-%06d", s.sent)
	payload, err := json.Marshal(map[string]any{"id": token, "expires": time.Now().Add(10 * time.Minute).UnixMilli(),
		"text": token})
	if err != nil {
		return false, err
	}
	if err := s.sender.Publish(s.e.Ctx, s.agent.Topic("dn/cmd/meter/write"), false, payload); err != nil {
		return false, err
	}
	late := s.e.Until(token+" at the port", within, func() bool { return bytes.Contains(s.tty.Received(), []byte(token)) })
	return late == nil, nil
}
