package mcu

import (
	"fmt"
	"time"
)

// send writes by the operator's own program.
func (s *scene) send(name, text string) error {
	p, err := s.Env.StartProc("send", "", nil, s.ctl, "send", "gw", name, text, "--server", s.Broker.URL(), "--timeout", "5s")
	if err != nil {
		return err
	}
	if code, err := p.Exit(15 * time.Second); err != nil || code != 0 {
		return fmt.Errorf("linkbeatctl send %s: exit code %d: %w: %s", text, code, err, p.Tail(3))
	}
	return nil
}
