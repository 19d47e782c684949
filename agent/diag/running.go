package diag

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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
		steps = append(steps, o.tell(agentStep(o.ID, &status, err)))
	}
	var devices []Step
	switch {
	case err == nil:
		devices = deviceSteps(devicesOf(&status), "open: %d")
	case o.Ports != nil:
		devices = deviceSteps(portsOf(o.Ports()), "there, and no agent has them open: %d")
	}
	for _, s := range devices {
		steps = append(steps, o.tell(s))
	}
	return steps, err == nil && fine(steps) && status.Why == ""
}

// agentStep judges what the agent says: why is all that is wrong.
func agentStep(id string, status *statuspage.Status, err error) Step {
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

const (
	hintPort = "is the adapter plugged in, and may the agent's user open it? linkbeat ports lists those that are there"
	hintUnit = "are they on, are A and B the right way round, do address, baud and parity fit? linkbeat tap shows the bytes"
)

// device is what is wrong with one of the serial devices; why is empty: nothing.
type device struct{ why, hint string }

// devicesOf are those of a running agent.
func devicesOf(status *statuspage.Status) map[string]device {
	all := map[string]device{}
	for name := range status.Serial {
		d, at := device{}, status.Serial[name]
		var dead []string
		for unit, is := range at.Units {
			if is.State == unitDead {
				dead = append(dead, unit)
			}
		}
		slices.Sort(dead)
		switch {
		case at.State == portDisabled:
			d.why, d.hint = at.Why, "linkbeat check tells what is wrong with it in the configuration"
		case at.State != portOpen:
			d.why, d.hint = cmp.Or(at.Why, at.State), hintPort
		case len(dead) > 0:
			d.why, d.hint = "no answer from "+strings.Join(dead, ", "), hintUnit
		}
		all[name] = d
	}
	return all
}

// portsOf are those whose ports were looked at, as no agent has them open.
func portsOf(ports map[string]error) map[string]device {
	all := map[string]device{}
	for name, err := range ports {
		d := device{hint: hintPort}
		if err != nil {
			d.why = err.Error()
		}
		all[name] = d
	}
	return all
}

// deviceSteps judge devices: those that are well in one step.
func deviceSteps(all map[string]device, well string) (steps []Step) {
	n, names := 0, []string(nil)
	for name, d := range all {
		if d.why == "" {
			n++
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		d := all[name]
		steps = append(steps, Step{Name: StepSerial, Status: Fail, Fault: "device", Text: name + ": " + d.why, Hint: d.hint})
	}
	if n > 0 {
		steps = append(steps, Step{Name: StepSerial, Status: OK, Text: fmt.Sprintf(well, n)})
	}
	return steps
}
