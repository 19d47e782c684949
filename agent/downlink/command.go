package downlink

import (
	"fmt"
	"time"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// command is what came down, parsed once, off the link's reader. It holds nothing of the configuration: its target, what that
// allows and whether it is still time are looked up when it is carried out, so that a reload in between counts.
type command struct {
	name    string // of the device or unit
	id      string // empty: it cannot be answered
	cost    int    // bytes on the wire
	request bool   // it wants the device's answer

	expires int64             // Unix ms; 0: it does not say
	bytes   []byte            // to be written
	values  map[string]string // to be written instead, by name, as JSON; nil: none
	timeout time.Duration     // of the answer; negative: as the target's limits say
	silence time.Duration     // that ends the answer; negative: as the target's limits say

	fault     error // it is no command
	spanFault error // its timeout or silence is none; nothing where values are written
}

// newCommand parses a payload. What is wrong with it stands in the command, to be answered in its turn.
func newCommand(a arrival) command {
	p, err := wire.ParseCommand(a.payload)
	c := command{name: a.name, id: p.ID, cost: a.cost, request: a.request, expires: p.Expires, fault: err}
	if err != nil {
		return c
	}
	if p.Values != nil {
		c.values = make(map[string]string, len(p.Values))
		for key, v := range p.Values {
			c.values[key] = string(v)
		}
		return c
	}
	c.bytes, _ = p.Bytes() // ParseCommand has seen to it
	if c.timeout, c.spanFault = span("timeout", p.Timeout); c.spanFault == nil {
		c.silence, c.spanFault = span("silence", p.Silence)
	}
	return c
}

// span is a duration that a command may say; negative: it does not.
func span(key, text string) (time.Duration, error) {
	if text == "" {
		return -1, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > longestWait {
		return 0, fmt.Errorf("%s must be a duration of at most %s, such as 500ms", key, longestWait)
	}
	return d, nil
}
