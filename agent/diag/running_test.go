package diag

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/gate"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/transport/transporttest"
)

// TestWhatTheAgentSaysComesFirst: a cloned id, a dead device or topics that are denied are seen by whoever runs, and by no trial.
func TestWhatTheAgentSaysComesFirst(t *testing.T) {
	is := func(change func(*statuspage.Status)) func() (statuspage.Status, error) {
		s := statuspage.Status{ID: "gw-7", Uplink: statuspage.Uplink{State: "up", Server: "mqtt://a"},
			Serial: map[string]statuspage.Serial{"meter": {State: "open"}, "scale": {State: "open"}}}
		change(&s)
		return func() (statuspage.Status, error) { return s, nil }
	}
	fails := func(err error) func() (statuspage.Status, error) {
		return func() (statuspage.Status, error) { return statuspage.Status{}, err }
	}
	for name, c := range map[string]struct {
		agent func() (statuspage.Status, error)
		ports map[string]error
		fine  bool
		says  []string
	}{
		"all is well": {is(func(*statuspage.Status) {}), nil, true, []string{
			"ok   agent               up at mqtt://a, and all is well",
			"ok   serial              open: 2"}},
		"cloned": {is(func(s *statuspage.Status) { s.Why = "another client uses the id gw-7" }), nil, false,
			[]string{"FAIL agent ", "the agent is up, and says: another client uses the id gw-7"}},
		"not up": {is(func(s *statuspage.Status) { s.Uplink.State = "connecting" }), nil, false,
			[]string{"FAIL agent ", "the agent is connecting"}},
		"it can wait": {is(func(s *statuspage.Status) { s.Why, s.Minor = "nobody can tell", true }), nil, true,
			[]string{"warn agent ", "up; nobody can tell"}},
		"a device is gone": {is(func(s *statuspage.Status) {
			s.Why = "serial meter: gone"
			s.Serial["meter"] = statuspage.Serial{State: "absent", Why: "/dev/ttyUSB0: no such device"}
		}), nil, false, []string{"open: 1", "FAIL serial              meter: /dev/ttyUSB0: no such device",
			"linkbeat ports"}},
		"a device is left out": {is(func(s *statuspage.Status) {
			s.Serial["meter"] = statuspage.Serial{State: "disabled", Why: "line 7: baud"}
		}), nil, false, []string{"FAIL serial              meter: line 7: baud", "linkbeat check"}},
		"a unit is dead": {is(func(s *statuspage.Status) {
			s.Serial["bus"] = statuspage.Serial{State: "open", Units: map[string]statuspage.Unit{"pump": {State: "dead"},
				"fan": {State: "live"}}}
		}), nil, false, []string{"open: 2", "FAIL serial              bus: no answer from pump", "linkbeat tap"}},
		"none runs": {fails(fmt.Errorf("%w answers", gate.ErrNoAgent)), map[string]error{"meter": nil}, true,
			[]string{"warn agent ", "none runs here", "there, and no agent has them open: 1"}},
		"none runs, and the port is gone": {fails(gate.ErrNoAgent),
			map[string]error{"meter": errors.New("/dev/x: no such file"), "b": nil},
			false, []string{"FAIL serial              meter: /dev/x: no such file"}},
		"it may not be asked": {fails(gate.ErrMayNot), map[string]error{"meter": nil}, true, []string{"warn agent ",
			"run this as root"}},
		"another one": {is(func(s *statuspage.Status) { s.ID = "gw-8" }), nil, true, []string{`is "gw-8"`,
			"linkbeat reload"}},
	} {
		t.Run(name, func(t *testing.T) {
			r, text := diagnosed(t, transporttest.Hooks{}, func(o *Options) {
				o.Server = "mqtt://a"
				o.Agent = func(context.Context) (statuspage.Status, error) { return c.agent() }
				o.Ports = func() map[string]error { return c.ports }
			})
			if r.Fine() != c.fine || len(r.Servers) != 1 || !strings.HasPrefix(text[5:], "agent ") {
				t.Errorf("fine is %v", r.Fine())
			}
			for _, want := range c.says {
				if !strings.Contains(text, want) {
					t.Errorf("it does not say %q", want)
				}
			}
		})
	}
}

// TestAHangingAgentDoesNotHoldItUp: one that takes the connection and does not answer.
func TestAHangingAgentDoesNotHoldItUp(t *testing.T) {
	r, text := diagnosed(t, transporttest.Hooks{}, func(o *Options) {
		o.Server = "mqtt://a"
		o.Agent = func(ctx context.Context) (statuspage.Status, error) {
			if _, ok := ctx.Deadline(); !ok {
				t.Error("no deadline")
			}
			<-ctx.Done()
			return statuspage.Status{}, ctx.Err()
		}
	})
	if !r.Fine() || !strings.Contains(text, "could not be asked how it is") {
		t.Error(text)
	}
}

func TestWhereTheAgentIsWellSizesCanWait(t *testing.T) {
	lossy := transporttest.Hooks{OnPublish: func(_ string, m transporttest.Message) transporttest.Answer {
		if len(m.Payload) > 1000 {
			return transporttest.Swallow
		}
		return transporttest.Take
	}}
	for running, want := range map[bool]string{true: "warn size", false: "FAIL size"} {
		_, text := diagnosed(t, lossy, func(o *Options) {
			o.Server, o.Document = "mqtt://a", document(t, `uplink: {servers: [{url: "mqtt://a"}]}
serial: {meter: {port: /dev/ttyUSB0}}`)
			o.Agent = func(context.Context) (statuspage.Status, error) {
				if !running {
					return statuspage.Status{}, gate.ErrNoAgent
				}
				return statuspage.Status{ID: "gw-7", Uplink: statuspage.Uplink{State: "up", Since: time.Now().UnixMilli()}}, nil
			}
		})
		if !strings.Contains(text, want) || !strings.Contains(text, "message_size_limit") {
			t.Errorf("%v: no %q", running, want)
		}
	}
}
