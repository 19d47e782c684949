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
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

const isStopping = "the agent is stopping"

// memorableBytes is the longest reply that is kept to answer a duplicate.
const memorableBytes = 2 << 10

// downlink carries commands from the link to devices, each at most once, and appends the replies to their spool. All but the
// counters is immutable.
type downlink struct {
	device  func(name string) (target, bool)
	replies *spool.Spool
	journal *journal
	clock   clock
	log     zerolog.Logger
	pulse   *pulse

	intake   chan arrival // of intakeMessages
	outcomes chan outcome // of intakeMessages
	turned   chan turned  // of turnedMessages
	waiting  atomic.Int64 // bytes in intake
	flooded  atomic.Bool  // commands are turned away since the queues were empty last

	mu       sync.Mutex
	counters statuspage.Commands // guarded by mu
}

// outcome is how a command in a device's queue ended.
type outcome struct {
	name, id string
	err      error
	answer   func(*wire.Reply) // puts in what the device brought back; nil: nothing
}

func newDownlink(device func(string) (target, bool), replies *spool.Spool, j *journal, c clock, log zerolog.Logger, p *pulse) *downlink {
	return &downlink{device: device, replies: replies, journal: j, clock: c, log: log, pulse: p, intake: make(chan arrival, intakeMessages),
		outcomes: make(chan outcome, intakeMessages), turned: make(chan turned, turnedMessages)}
}

// run carries commands until ctx is done. What is in a device's queue then is answered by unknown_outcome after the restart.
func (d *downlink) run(ctx context.Context) error {
	defer d.pulse.gone()
	d.answerCut()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case a := <-d.intake:
			d.waiting.Add(-int64(len(a.payload)))
			d.busy(func() { d.command(a) })
		case t := <-d.turned:
			d.busy(func() { d.answerTurned(t) })
		case o := <-d.outcomes:
			d.busy(func() { d.settle(o) })
		}
		if len(d.intake)+len(d.turned) == 0 {
			d.flooded.Store(false)
		}
	}
	d.last()
	return d.journal.close()
}

func (d *downlink) busy(work func()) {
	d.pulse.begin()
	defer d.pulse.end()
	work()
}

// answerCut answers what a crash cut. The answer is in the spool before the journal forgets that it is owed.
func (d *downlink) answerCut() {
	if len(d.journal.cut) == 0 {
		return
	}
	if err := d.journal.rewrite(d.clock.now()); err != nil {
		d.log.Error().Err(err).Msg("the command journal cannot be written: what a crash cut will be answered again")
	}
	for _, e := range d.journal.cut {
		unknown := wire.Reply{ID: e.ID, Error: wire.UnknownOutcome, Detail: "the agent ended while it carried this out"}
		d.reply(e.Name, unknown)
		d.remember(e.ID, unknown)
	}
	d.journal.cut = nil
}

// last answers what ended before the stop, as the devices have returned by now, and what nobody will carry out.
func (d *downlink) last() {
	for {
		select {
		case o := <-d.outcomes:
			d.settle(o)
		case t := <-d.turned:
			d.answerTurned(t)
		case a := <-d.intake:
			d.answerTurned(turned{a.name, wire.CommandID(a.payload), wire.Busy, isStopping})
		default:
			return
		}
	}
}

// answerTurned answers what the intake did not take.
func (d *downlink) answerTurned(t turned) {
	if t.id == "" {
		d.count(func(c *statuspage.Commands) { c.Refused++ })
		return
	}
	if !d.answered(t.name, t.id) {
		d.count(func(c *statuspage.Commands) { c.Refused++ })
		d.reply(t.name, wire.Reply{ID: t.id, Error: t.code, Detail: t.detail})
	}
}

// answered answers a command that came before, from the journal; false: it did not.
func (d *downlink) answered(name, id string) bool {
	known, running := d.journal.lookup(id)
	switch {
	case known != nil:
		d.count(func(n *statuspage.Commands) { n.Refused++ })
		d.reply(name, *known)
	case running != nil:
		d.refuse(name, id, wire.Duplicate, running.Error())
	default:
		return false
	}
	return true
}

// command judges one command and hands it to its device, or answers with an error.
func (d *downlink) command(a arrival) {
	c, err := wire.ParseCommand(a.payload)
	if c.ID == "" {
		d.count(func(n *statuspage.Commands) { n.Refused++ })
		d.log.Warn().Str("device", a.name).Err(err).Msg("command without a usable id, not answered")
		return
	}
	if !a.retained && d.answered(a.name, c.ID) {
		return
	}
	code, detail := d.judge(a, c, err)
	if code != "" {
		d.refuse(a.name, c.ID, code, detail)
		return
	}
	d.start(a, c)
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
	}
	if code, detail := d.clock.due(c.Expires, wire.MaxExpiry); code != "" {
		return code, detail
	}
	return dev.check(a, c, time.Now())
}

// start puts the command on disk and into the device's queue.
func (d *downlink) start(a arrival, c wire.Command) {
	name := a.name
	dev, known := d.device(name)
	if !known { // since it was judged
		d.refuse(name, c.ID, wire.UnknownDevice, "")
		return
	}
	if err := d.journal.begin(name, c, d.clock.now()); errors.Is(err, errJournalFull) {
		d.refuse(name, c.ID, wire.Busy, err.Error())
		return
	} else if err != nil {
		d.refuse(name, c.ID, wire.Failed, "at most once cannot be kept: "+err.Error())
		return
	}
	d.count(func(n *statuspage.Commands) { n.Running++ })
	err := dev.carry(a, c, func(got bridge.Answer, err error) {
		d.outcomes <- outcome{name, c.ID, err, func(r *wire.Reply) { dev.answer(r, c, got) }}
	})
	if err != nil {
		d.settle(outcome{name: name, id: c.ID, err: err})
	}
}

// settle answers a command that ended at its device.
func (d *downlink) settle(o outcome) {
	reply := wire.Reply{ID: o.id, OK: o.err == nil}
	if o.answer != nil {
		o.answer(&reply)
	}
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
	d.remember(o.id, memorable(reply))
	d.reply(o.name, reply)
}

// memorable is what the journal keeps of a reply: a long answer is not worth its memory.
func memorable(r wire.Reply) wire.Reply {
	if len(r.Append(nil)) <= memorableBytes {
		return r
	}
	return wire.Reply{ID: r.ID, OK: r.OK, Error: r.Error, Detail: "the answer was too long to be kept for a second time"}
}

// codeOf is the error code for what a device said.
func codeOf(err error) wire.ErrorCode {
	switch {
	case errors.Is(err, bridge.ErrBusy), errors.Is(err, bridge.ErrHeld):
		return wire.Busy
	case errors.Is(err, bridge.ErrTooLarge):
		return wire.TooLarge
	case errors.Is(err, bridge.ErrExpired):
		return wire.Expired
	case errors.Is(err, bridge.ErrStuck), errors.Is(err, bridge.ErrNoAnswer):
		return wire.Timeout
	case errors.Is(err, bridge.ErrLost):
		return wire.UnknownOutcome
	case errors.Is(err, framing.ErrEmpty), errors.Is(err, framing.ErrDelimiter), errors.Is(err, framing.ErrWrongSize),
		errors.Is(err, framing.ErrNoHeader), errors.Is(err, framing.ErrChecksum), errors.Is(err, framing.ErrMalformed), errors.Is(err, bridge.ErrIsBus), errors.Is(err, bridge.ErrNoUnit), errors.Is(err, modbus.ErrValue), errors.Is(err, serialport.ErrBadLine):
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
