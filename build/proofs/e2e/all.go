package e2e

import (
	"github.com/linkbeat/linkbeat/build/internal/kit"
)

// Step is one part of `make e2e`.
type Step struct {
	Name  string
	Needs []string // tools, for kit.Need
	Run   func(e *kit.Env, t *kit.Table) error
}

// Steps of `make e2e`, in order. They share nothing and may run side by side.
func Steps() []Step {
	relay := func(scheme, target string) func(*kit.Env, *kit.Table) error {
		return func(e *kit.Env, t *kit.Table) error { return Relay(e, RelayOptions{Scheme: scheme, Target: target}, t) }
	}
	return []Step{
		{"relay over mqtt", []string{"mosquitto"}, relay("mqtt", "")},
		{"relay over mqtts with a client certificate", []string{"mosquitto"}, relay("mqtts", "")},
		{"relay over ws", []string{"mosquitto"}, relay("ws", "")},
		{"relay over mqtt, armv7 under qemu", []string{"mosquitto", "qemu-arm-static"}, relay("mqtt", "linux-armv7")},
		{"commands", []string{"mosquitto"}, Commands},
		{"oversized packets", []string{"mosquitto"}, Oversized},
		{"configuration", []string{"mosquitto"}, Reload},
		{"access rules", []string{"mosquitto"}, ACL},
		{"README's example", []string{"mosquitto"}, Readme},
		{"facts and hooks", []string{"mosquitto"}, Facts},
		{"local socket", []string{"mosquitto"}, Local},
		{"field", []string{"mosquitto"}, Field},
		{"takeover", []string{"mosquitto"}, Takeover},
		{"full spool", []string{"mosquitto"}, FullSpool},
		{"heartbeat that learns", []string{"mosquitto"}, Learning},
		{"probe from the shell", []string{"mosquitto"}, Probe},
		{"why it is offline", []string{"mosquitto"}, Diag},
	}
}

// All runs every step one after the other.
func All(e *kit.Env, t *kit.Table) error {
	t.Say("Every text recording is played at once at the pace of %d baud through ptys into the agent and out of mosquitto;", baud)
	t.Say("lines are compared byte for byte in order; twice means the same (epoch, seq) again.")
	for _, s := range Steps() {
		e.Logf("%s", s.Name)
		if err := s.Run(e, t); err != nil {
			t.Check(s.Name, err)
		}
	}
	return nil
}
