package mcu

import (
	"encoding/json"
	"fmt"
	"time"
)

// reply is the answer to a command.
type reply struct {
	ID     string                     `json:"id"`
	OK     bool                       `json:"ok"`
	Text   string                     `json:"text"`
	Hex    string                     `json:"hex"`
	Values map[string]json.RawMessage `json:"values"`
	Error  string                     `json:"error"`
	Detail string                     `json:"detail"`
}

// command sends a command past linkbeatctl, which knows no requests, and waits for its answer.
func (s *scene) command(name, kind string, fields map[string]any) (got reply, took time.Duration, err error) {
	s.next++
	id := fmt.Sprint("c", s.next)
	c := map[string]any{"id": id, "expires": time.Now().Add(30 * time.Second).UnixMilli()}
	for k, v := range fields {
		c[k] = v
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return reply{}, 0, err
	}
	began := time.Now()
	if err := s.sub.Publish(s.e.Ctx, s.agent.Topic("dn/cmd/"+name+"/"+kind), false, payload); err != nil {
		return reply{}, 0, err
	}
	err = s.e.Until("the answer to "+string(payload), 15*time.Second, func() bool {
		for _, a := range s.sub.Arrivals(s.agent.Topic("up/reply/" + name)) {
			var r reply
			if json.Unmarshal(a.Payload, &r) == nil && r.ID == id {
				got, took = r, a.At.Sub(began)
				return true
			}
		}
		return false
	})
	return got, took, err
}

// send writes by the operator's own program.
func (s *scene) send(name, text string) error {
	p, err := s.e.StartProc("send", "", nil, s.ctl, "send", "gw", name, text, "--server", s.broker.URL(), "--timeout", "5s")
	if err != nil {
		return err
	}
	if code, err := p.Exit(15 * time.Second); err != nil || code != 0 {
		return fmt.Errorf("linkbeatctl send %s: exit code %d: %w: %s", text, code, err, p.Tail(3))
	}
	return nil
}
