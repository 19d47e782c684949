package diag

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/linkbeat/linkbeat/agent/gate"
	"github.com/linkbeat/linkbeat/agent/statuspage"
)

// Names of the steps about the agent that runs here.
const (
	StepAgent  = "agent"
	StepSerial = "serial"
)

// Words of a status document.
const (
	linkUp       = "up"
	portOpen     = "open"
	unitDead     = "dead"
	portDisabled = "disabled"
)

// running is what the agent says, and its serial devices; without one, their ports. well: it says that nothing is wrong.
func (o Options) running(ctx context.Context) (steps []Step, well bool) {
	status, err := statuspage.Status{}, error(gate.ErrNoAgent)
	if o.Agent != nil {
		ask, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		status, err = o.Agent(ask)
		steps = append(steps, o.tell(agentStep(o.ID, status, err)))
	}
	var devices []Step
	switch {
	case err == nil:
		devices = serialSteps(status)
	case o.Ports != nil:
		devices = portSteps(o.Ports())
	}
	for _, s := range devices {
		steps = append(steps, o.tell(s))
	}
	return steps, err == nil && fine(steps) && status.Why == ""
}

// agentStep judges what the agent says: why is all that is wrong.
func agentStep(id string, status statuspage.Status, err error) Step {
	s := Step{Name: StepAgent, Status: OK}
	switch {
	case errors.Is(err, gate.ErrNoAgent):
		s.Status, s.Fault, s.Text = Warn, "no_agent", "none runs here: what follows is tried without it"
		s.Hint = "start it: systemctl start linkbeat, or linkbeat run"
	case err != nil:
		s.Status, s.Fault, s.Text = Warn, "not_asked", "it could not be asked how it is: "+err.Error()
		s.Hint = "run this as root, or as the agent's user"
	case status.ID != id:
		s.Status, s.Fault = Warn, "other_agent"
		s.Text = fmt.Sprintf("the one that runs here is %q, and this configuration says %q", status.ID, id)
		s.Hint = "name the file that the agent uses with -c, or have it read this one: linkbeat reload"
	case status.Why != "" && status.Minor:
		s.Status, s.Text, s.Hint = Warn, "up; "+status.Why, "this can wait, and nothing is lost by it"
	case status.Why != "":
		s.Status, s.Fault, s.Text = Fail, "why", fmt.Sprintf("the agent is %s, and says: %s", status.Uplink.State, status.Why)
		s.Hint = "begin with what the agent says; the steps below show the way to the server"
	case status.Uplink.State != linkUp:
		s.Status, s.Fault, s.Text = Fail, "not_up", "the agent is "+status.Uplink.State
		s.Hint = "the steps below show where the way to the server ends"
	default:
		s.Text = "up at " + status.Uplink.Server + ", and all is well"
	}
	return s
}

// serialSteps judge the devices of a running agent: those that are well in one step.
func serialSteps(status statuspage.Status) (steps []Step) {
	open := 0
	for _, name := range slices.Sorted(maps.Keys(status.Serial)) {
		d := status.Serial[name]
		if d.State != portOpen {
			steps = append(steps, deviceStep(name, d))
			continue
		}
		var dead []string
		for _, unit := range slices.Sorted(maps.Keys(d.Units)) {
			if d.Units[unit].State == unitDead {
				dead = append(dead, unit)
			}
		}
		if open++; len(dead) > 0 {
			steps = append(steps, Step{Name: StepSerial, Status: Fail, Fault: "no_answer",
				Text: fmt.Sprintf("%s: no answer from %s", name, strings.Join(dead, ", ")),
				Hint: "are they on, are A and B the right way round, do address, baud and parity fit? linkbeat tap " + name +
					" shows the bytes"})
		}
	}
	if open > 0 {
		text := fmt.Sprintf("%d devices are open", open)
		if open == 1 {
			text = "1 device is open"
		}
		steps = append([]Step{{Name: StepSerial, Status: OK, Text: text}}, steps...)
	}
	return steps
}

func deviceStep(name string, d statuspage.Serial) Step {
	why := d.Why
	if why == "" {
		why = d.State
	}
	s := Step{Name: StepSerial, Status: Fail, Fault: "device", Text: name + ": " + why, Hint: hintPort}
	if d.State == portDisabled {
		s.Hint = "linkbeat check tells what is wrong with it in the configuration"
	}
	return s
}

const hintPort = "is the adapter plugged in, and may the agent's user open it? linkbeat ports lists those that are there"

// portSteps judge the ports where no agent has them open.
func portSteps(ports map[string]error) (steps []Step) {
	well := 0
	for _, name := range slices.Sorted(maps.Keys(ports)) {
		if err := ports[name]; err != nil {
			steps = append(steps, Step{Name: StepSerial, Status: Fail, Fault: "device", Text: name + ": " + err.Error(),
				Hint: hintPort})
			continue
		}
		well++
	}
	if well > 0 {
		text := fmt.Sprintf("the ports of %d devices are there; no agent has them open", well)
		if well == 1 {
			text = "the port of 1 device is there; no agent has it open"
		}
		steps = append([]Step{{Name: StepSerial, Status: OK, Text: text}}, steps...)
	}
	return steps
}
