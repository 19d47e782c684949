package downlink

import (
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
)

// intake bounds: what may wait between the link's reader, which never blocks, and the downlink's loop, which parses commands and
// syncs the journal for each.
const (
	intakeMessages   = 64
	intakeBytes      = 256 << 10
	rejectedMessages = 16      // of which only name and id are kept, to be answered; flood.Answers allows hardly more
	idWithin         = 4 << 10 // bytes of a payload in which the reader looks for the id of what is not taken
)

// arrival is a command as it came, not looked at yet: the reader's time is the acknowledgements' of frames.
type arrival struct {
	name    string
	payload []byte
	request bool
	cost    int // bytes on the wire
}

// rejected is a command that the intake did not take, and that may be answered.
type rejected struct {
	name, id string
	code     wire.ErrorCode
	detail   string
}

// Handler is the link's handler of the topics of a template with {name}: it hands over and returns.
func (d *Downlink) Handler(template string) transport.Handler {
	request := strings.HasSuffix(template, wire.RequestSuffix)
	return func(m transport.Message, retained bool) {
		vars, ok := wire.Match(template, m.Topic)
		if !ok { // the name of a device is empty: it is nobody's
			const nameless = "command dropped: its topic names no device"
			d.answers.Pay(m.Size)
			d.floods.Warn(nameless).Msg(nameless)
			return
		}
		d.count(func(c *statuspage.Commands) { c.Received++ })
		d.arrived(arrival{vars["name"], m.Payload, request, m.Size}, retained)
	}
}

// arrived puts a command into the intake, or turns it away before anything that costs: a server that keeps thousands of retained
// ones sends them at each connect, in front of the acknowledgements that frames wait for.
func (d *Downlink) arrived(a arrival, retained bool) {
	size := int64(len(a.payload))
	if retained {
		d.turnAway(a, wire.Retained, "publish commands without the retain flag, and clear this one")
		return
	}
	if size > intakeBytes {
		d.turnAway(a, wire.TooLarge, fmt.Sprintf("%d bytes, the gateway takes at most %d", size, intakeBytes))
		return
	}
	if d.waiting.Add(size) <= intakeBytes {
		select {
		case d.intake <- a:
			return
		default:
		}
	}
	d.waiting.Add(-size)
	d.turnAway(a, wire.Busy, "too many commands at once: send them more slowly")
}

// turnAway refuses what the intake does not take. It is answered while refusals are; of the rest not even the id is looked for.
func (d *Downlink) turnAway(a arrival, code wire.ErrorCode, detail string) {
	d.answers.Pay(a.cost)
	d.logRefusal(a.name, "", code)
	if d.answers.Take(time.Now()) {
		if id := wire.CommandID(a.payload[:min(len(a.payload), idWithin)]); id != "" {
			select {
			case d.rejected <- rejected{a.name, id, code, detail}:
				return
			default:
			}
		}
	}
	d.count(func(c *statuspage.Commands) {
		c.Unanswered++
		if code == wire.Retained {
			c.Refused++
		} else {
			c.Overflowed++
		}
	})
}

// clipName is a device's name as it may be shown: an unknown one comes from the network, and is as long as a topic.
func clipName(name string) string { return flood.Clip(name, wire.MaxName) }
