package e2e

import (
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Takeover runs two gateways with one client id, which no broker allows: each throws the other out. It must be named, and
// must not become a tight loop.
func Takeover(e *kit.Env, t *kit.Table) error {
	const watch = 20 * time.Second
	r, err := newRig(e, rigOptions{id: "gw-twin", scheme: "mqtt"})
	if err != nil {
		return err
	}
	twin, err := e.Agent(kit.AgentOptions{Doc: kit.NewDoc("gw-twin", r.broker.URL())})
	if err != nil {
		return err
	}
	if err := r.agent.StartUp(); err != nil {
		return err
	}
	if err := twin.Start(); err != nil {
		return err
	}
	named := ""
	for end := time.Now().Add(watch); time.Now().Before(end) && e.Ctx.Err() == nil; e.Sleep(50 * time.Millisecond) {
		for _, a := range []*kit.Agent{r.agent, twin} {
			if s, err := a.Status(); err == nil && strings.Contains(s.Why, "gw-twin") {
				named = s.Why
			}
		}
	}
	// Without a growing backoff it would be one every backoff.min of both: 40.
	t.AtMost("two gateways with one client id: CONNECTs in 20 s", float64(r.broker.Connects("gw-twin")), 20, "")
	if named == "" {
		err = fmt.Errorf("neither why names the client id within %v", watch)
	}
	t.Check("two gateways with one client id: named in why", err)
	return nil
}
