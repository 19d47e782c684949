package downlink

import (
	"fmt"
	"strings"

	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/wire"
	"github.com/linkbeat/linkbeat/transport"
)

// intake bounds: what may wait between the link's reader, which never blocks, and the downlink's loop, which syncs the
// journal for every command.
const (
	intakeMessages   = 64
	intakeBytes      = 256 << 10
	rejectedMessages = 256 // of which only name and id are kept, to be answered
)

// rejected is a command that the intake did not take.
type rejected struct {
	name, id string
	code     wire.ErrorCode
	detail   string
}

// Handler is the link's handler of the topics of a template with {name}: it hands over and returns.
func (d *Downlink) Handler(template string) transport.Handler {
	request := strings.HasSuffix(template, wire.RequestSuffix)
	return func(m transport.Message, retained bool) {
		if vars, ok := wire.Match(template, m.Topic); ok {
			d.count(func(c *statuspage.Commands) { c.Received++ })
			d.arrived(vars["name"], m.Payload, retained, request)
		}
	}
}

// arrived parses a command and puts it into the intake, or turns it away: of what does not fit only the id is looked for.
func (d *Downlink) arrived(name string, payload []byte, retained, request bool) {
	size := int64(len(payload))
	if size > intakeBytes {
		detail := fmt.Sprintf("%d bytes, the gateway takes at most %d", size, intakeBytes)
		d.reject(rejected{name, wire.CommandID(payload), wire.TooLarge, detail})
		return
	}
	if d.waiting.Add(size) <= intakeBytes && len(d.intake) < cap(d.intake) {
		select {
		case d.intake <- newCommand(name, payload, retained, request):
			return
		default:
		}
	}
	d.waiting.Add(-size)
	if !d.flooded.Swap(true) {
		d.log.Warn().Msg("commands arrive faster than they can be taken: some are answered busy or not at all")
	}
	d.reject(rejected{name, wire.CommandID(payload), wire.Busy, "too many commands at once"})
}

func (d *Downlink) reject(t rejected) {
	if t.id != "" {
		select {
		case d.rejected <- t:
			return
		default:
		}
	}
	d.count(func(c *statuspage.Commands) { c.Overflowed++ })
}
