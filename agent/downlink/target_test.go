package downlink

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

// bus is the targets of a bus with one unit, whose device answers what was asked.
func bus(r *downlinkRig, l Limits) map[string]Target {
	request := func(q bridge.Request, done func(bridge.Answer, error)) error {
		r.written <- fmt.Sprintf("%s %x %s %s", q.Unit, q.Payload, q.Timeout, q.Silence)
		if r.outcome != nil {
			done(bridge.Answer{}, r.outcome)
			return nil
		}
		done(bridge.Answer{Frames: [][]byte{{0xaa, 1}, {0xbb}}}, nil)
		return nil
	}
	set := func(values map[string]string, _ time.Time, done func(bridge.Answer, error)) error {
		r.written <- fmt.Sprint(values)
		reg := modbus.Register{Name: "setpoint", Kind: modbus.Holding, Type: "uint16", Scale: 0.1, Writable: true}
		w, err := reg.NewWrite(values["setpoint"])
		done(bridge.Answer{Values: []bridge.Reading{{Name: "setpoint", Value: w.Want}}}, errors.Join(err, r.outcome))
		return nil
	}
	fits := func(values map[string]string) (int, error) {
		if values["setpoint"] == "" {
			return 0, fmt.Errorf("%w", bridge.ErrNoUnit)
		}
		return len(values["setpoint"]), nil
	}
	device := Target{Commands: true, Limits: l, Rate: NewRate(l), Encoding: wire.Hex, Write: r.write, Request: request}
	unit := device
	unit.Unit, unit.Address, unit.Set, unit.Fits = "pump", []byte{7}, set, fits
	return map[string]Target{"bus": device, "pump": unit}
}

func TestRequestsAndValues(t *testing.T) {
	l := Limits{Max: 4, Timeout: time.Second, Allow: [][]byte{{7, 3}, {'x'}}}
	for name, c := range map[string]struct {
		to, body string
		outcome  error
		wrote    string // empty: nothing
		want     string // in the reply
	}{
		"a request": {"bus/request", `"hex":"0703"`, nil, " 0703 1s 0s", `"ok":true,"hex":"aa01"`},
		"with times of its own": {"bus/request", `"hex":"0703","timeout":"50ms","silence":"20ms"`, nil, " 0703 50ms 20ms",
			`"ok":true,"frames":[{"hex":"aa01"},{"hex":"bb"}]`},
		"with a strange timeout":  {"bus/request", `"hex":"0703","timeout":"soon"`, nil, "", `"error":"malformed"`},
		"with too long a timeout": {"bus/request", `"hex":"0703","timeout":"2h"`, nil, "", `"error":"malformed"`},
		"to a unit":               {"pump/request", `"hex":"03"`, nil, "pump 03 1s 0s", `"ok":true,"hex":"aa01"`},
		"of values":               {"pump/request", `"values":{"setpoint":1}`, nil, "", `"error":"malformed"`},
		"not on the list":         {"bus/request", `"hex":"0706"`, nil, "", `"error":"denied"`},
		"to a unit, not on it":    {"pump/request", `"hex":"06"`, nil, "", `"error":"denied"`},
		"too large":               {"bus/request", `"hex":"0703000000"`, nil, "", `"error":"too_large"`},
		"without an answer":       {"bus/request", `"hex":"0703"`, bridge.ErrNoAnswer, " 0703 1s 0s", `"error":"timeout"`},
		"values": {"pump/write", `"values":{"setpoint":21.5}`, nil, "map[setpoint:21.5]",
			`"ok":true,"values":{"setpoint":21.5}`},
		"values that read else": {"pump/write", `"values":{"setpoint":21.5}`, bridge.ErrReadBack, "map[setpoint:21.5]",
			`"ok":false,"values":{"setpoint":21.5},"error":"failed"`},
		"an exception": {"pump/write", `"values":{"setpoint":21.5}`, modbus.IllegalDataValue, "map[setpoint:21.5]",
			`"error":"failed","detail":"ILLEGAL DATA VALUE"`},
		"values that nobody has":   {"pump/write", `"values":{"x":1}`, nil, "", `"error":"malformed"`},
		"values that are none":     {"pump/write", `"values":{"setpoint":null}`, nil, "", `"error":"malformed"`},
		"values and bytes":         {"pump/write", `"values":{"setpoint":1},"hex":"07"`, nil, "", `"error":"malformed"`},
		"values that are too long": {"pump/write", `"values":{"setpoint":21.55}`, nil, "", `"error":"too_large"`},
		"bytes to a unit":          {"pump/write", `"hex":"0703"`, nil, "", `"error":"malformed"`},
		"values to no unit":        {"bus/write", `"values":{"setpoint":1}`, nil, "", `"error":"malformed"`},
		"a write on the list":      {"bus/write", `"text":"xy"`, nil, "xy", `"ok":true`},
		"a write that is not":      {"bus/write", `"text":"yx"`, nil, "", `"error":"denied"`},
		"a write that is too long": {"bus/write", `"text":"xyxyx"`, nil, "", `"error":"too_large"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := newDownlinkRig(t, t.TempDir())
			defer r.stop()
			r.targets, r.outcome = bus(r, l), c.outcome
			payload := fmt.Sprintf(`{"id":"a","expires":%d,%s}`, soon(), c.body)
			r.deliver(c.to, payload, false)
			_, reply := r.reply(t)
			if got := string(reply.Append(nil)); !strings.Contains(got, c.want) {
				t.Errorf("%s\nwant %s", got, c.want)
			}
			wrote := ""
			if len(r.written) > 0 {
				wrote = <-r.written
			}
			if wrote != c.wrote {
				t.Errorf("wrote %q, want %q", wrote, c.wrote)
			}
			r.deliver(c.to, payload, false) // at most once: it is answered from the journal, or refused again
			if _, again := r.reply(t); again.OK != reply.OK || len(r.written) > 0 && c.wrote != "" {
				t.Errorf("the same again: %+v, %d writes", again, len(r.written))
			}
		})
	}
}

func TestTooManyCommandsInAMinute(t *testing.T) {
	now := time.Now()
	r := NewRate(Limits{PerMinute: 3})
	took := func(at time.Duration) (n int) {
		for r.take(now.Add(at)) {
			n++
		}
		return n
	}
	if a, b, c, d := took(0), took(time.Second), took(21*time.Second), took(time.Hour); a != 3 || b != 0 || c != 1 || d != 3 {
		t.Errorf("%d %d %d %d", a, b, c, d)
	}
	rig := newDownlinkRig(t, t.TempDir())
	defer rig.stop()
	rig.targets = bus(rig, Limits{PerMinute: 2})
	for i := range 3 {
		rig.deliver("bus/request", fmt.Sprintf(`{"id":"%d","expires":%d,"hex":"07"}`, i, soon()), false)
		if _, reply := rig.reply(t); reply.OK != (i < 2) || i == 2 && reply.Error != wire.Busy {
			t.Errorf("%d: %+v", i, reply)
		}
	}
}
