package agent

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/transport"
)

// intake bounds: what may wait between the link's reader, which never blocks, and the downlink's loop, which syncs the
// journal for every command.
const (
	intakeMessages = 64
	intakeBytes    = 256 << 10
)

// downlink carries commands from the link to devices, each at most once, and appends the replies to their spool. All but the
// counters is immutable.
type downlink struct {
	topic   string // template of the write topic, with {name}
	device  func(name string) (target, bool)
	replies *spool.Spool
	journal *journal
	clock   clock
	log     zerolog.Logger
	pulse   *pulse

	intake   chan arrival // both of intakeMessages
	outcomes chan outcome
	waiting  atomic.Int64 // bytes in intake

	mu       sync.Mutex
	counters statuspage.Commands // guarded by mu
}

// target is a device that commands can go to.
type target struct {
	commands bool // may the uplink write to it?
	write    func(payload []byte, expires time.Time, done func(error)) error
}

type arrival struct {
	name     string
	payload  []byte
	retained bool
}

// outcome is how a command in a device's queue ended.
type outcome struct {
	name, id string
	err      error
}

// arrived is the link's handler: it hands over and returns.
func (d *downlink) arrived(m transport.Message, retained bool) {
	vars, ok := wire.Match(d.topic, m.Topic)
	if !ok {
		return
	}
	size := int64(len(m.Payload))
	if d.waiting.Add(size) <= intakeBytes {
		select {
		case d.intake <- arrival{vars["name"], m.Payload, retained}:
			return
		default:
		}
	}
	d.waiting.Add(-size)
	d.count(func(c *statuspage.Commands) { c.Received++; c.Overflowed++ })
}

// run carries commands until ctx is done. What is in a device's queue then is answered by unknown_outcome after the restart.
func (d *downlink) run(ctx context.Context) error {
	for _, e := range d.journal.cut {
		d.reply(e.Name, *e.Reply)
		d.remember(e.ID, *e.Reply)
	}
	for {
		select {
		case <-ctx.Done():
			d.settleLast()
			return d.journal.close()
		case a := <-d.intake:
			d.waiting.Add(-int64(len(a.payload)))
			d.pulse.begin()
			d.command(a)
			d.pulse.end()
		case o := <-d.outcomes:
			d.settle(o)
		}
	}
}

// settleLast answers what ended before the stop: the devices have returned by now.
func (d *downlink) settleLast() {
	for {
		select {
		case o := <-d.outcomes:
			d.settle(o)
		default:
			return
		}
	}
}

// command judges one command and hands it to its device, or answers with an error.
func (d *downlink) command(a arrival) {
	d.count(func(n *statuspage.Commands) { n.Received++ })
	c, err := wire.ParseCommand(a.payload)
	if c.ID == "" {
		d.count(func(n *statuspage.Commands) { n.Refused++ })
		d.log.Warn().Str("device", a.name).Err(err).Msg("command without a usable id, not answered")
		return
	}
	if known, running := d.journal.lookup(c.ID); known != nil && !a.retained {
		d.count(func(n *statuspage.Commands) { n.Refused++ })
		d.reply(a.name, *known)
		return
	} else if running != nil {
		d.refuse(a.name, c.ID, wire.Duplicate, running.Error())
		return
	}
	code, detail := d.judge(a, c, err)
	if code != "" {
		d.refuse(a.name, c.ID, code, detail)
		return
	}
	d.start(a.name, c)
}

// judge says why a command must not be carried out; an empty code: it may.
func (d *downlink) judge(a arrival, c wire.Command, fault error) (wire.ErrorCode, string) {
	dev, known := d.device(a.name)
	switch {
	case a.retained:
		return wire.Retained, "publish commands without the retain flag, and clear this one"
	case fault != nil:
		return wire.Malformed, fault.Error()
	case !known:
		return wire.UnknownDevice, ""
	case !dev.commands:
		return wire.Denied, "the device's configuration does not say commands: true"
	case c.Expires == 0:
		return wire.NoExpiry, "expires is needed: Unix milliseconds"
	case d.clock.unset():
		return wire.ClockUnset, "the gateway's clock is not set yet"
	case d.clock.now().UnixMilli() >= c.Expires:
		return wire.Expired, ""
	}
	return "", ""
}

// start puts the command on disk and into the device's queue.
func (d *downlink) start(name string, c wire.Command) {
	dev, _ := d.device(name)
	payload, _ := c.Bytes() // ParseCommand has seen to it
	if err := d.journal.begin(name, c, d.clock.now()); errors.Is(err, errJournalFull) {
		d.refuse(name, c.ID, wire.Busy, err.Error())
		return
	} else if err != nil {
		d.refuse(name, c.ID, wire.Failed, "at most once cannot be kept: "+err.Error())
		return
	}
	d.count(func(n *statuspage.Commands) { n.Running++ })
	err := dev.write(payload, time.UnixMilli(c.Expires), func(err error) { d.outcomes <- outcome{name, c.ID, err} })
	if err != nil {
		d.settle(outcome{name, c.ID, err})
	}
}

// settle answers a command that ended at its device.
func (d *downlink) settle(o outcome) {
	reply := wire.Reply{ID: o.id, OK: o.err == nil}
	if o.err != nil {
		reply.Error, reply.Detail = codeOf(o.err), o.err.Error()
	}
	d.count(func(n *statuspage.Commands) {
		n.Running--
		switch {
		case o.err == nil:
			n.Done++
		case reply.Error == wire.Failed || reply.Error == wire.Timeout || reply.Error == wire.UnknownOutcome:
			n.Failed++
		default:
			n.Refused++
		}
	})
	d.remember(o.id, reply)
	d.reply(o.name, reply)
}

// codeOf is the error code for what a device said.
func codeOf(err error) wire.ErrorCode {
	switch {
	case errors.Is(err, bridge.ErrBusy):
		return wire.Busy
	case errors.Is(err, bridge.ErrTooLarge):
		return wire.TooLarge
	case errors.Is(err, bridge.ErrExpired):
		return wire.Expired
	case errors.Is(err, bridge.ErrStuck):
		return wire.Timeout
	case errors.Is(err, bridge.ErrLost):
		return wire.UnknownOutcome
	case errors.Is(err, framing.ErrEmpty), errors.Is(err, framing.ErrDelimiter), errors.Is(err, framing.ErrWrongSize),
		errors.Is(err, framing.ErrNoHeader):
		return wire.Malformed
	}
	return wire.Failed
}

// refuse answers a command that did not reach its device's queue.
func (d *downlink) refuse(name, id string, code wire.ErrorCode, detail string) {
	d.count(func(n *statuspage.Commands) { n.Refused++ })
	d.log.Warn().Str("device", name).Str("id", id).Str("error", string(code)).Msg("command refused")
	d.reply(name, wire.Reply{ID: id, Error: code, Detail: detail})
}

func (d *downlink) remember(id string, reply wire.Reply) {
	if err := d.journal.finish(id, reply); err != nil {
		d.log.Warn().Str("id", id).Err(err).Msg("the command journal cannot note an outcome")
	}
}

// reply appends a reply to its spool, which keeps it over an outage.
func (d *downlink) reply(name string, reply wire.Reply) {
	if len(name) > maxReplyName {
		return // no topic of ours is so long
	}
	if _, err := d.replies.Append("", appendReply(nil, name, reply)); err != nil {
		d.log.Error().Str("device", name).Str("id", reply.ID).Err(err).Msg("reply lost")
	}
}

func (d *downlink) count(f func(*statuspage.Commands)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.counters)
}

func (d *downlink) status() statuspage.Commands {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counters
}
