// Package downlink carries commands from the link to devices, each at most once, and answers every one that it carries out. Of
// what it refuses it answers and logs the first few, and counts the rest: a stranger's flood costs no flood. A command comes in
// as the link delivered it, its bytes or values go to a Target, and its reply goes into a spool. It never sees config, a port
// or what publishes the reply.
package downlink

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/linkbeat/linkbeat/agent/clock"
	"github.com/linkbeat/linkbeat/agent/errcode"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/spool"
	"github.com/linkbeat/linkbeat/agent/statuspage"
	"github.com/linkbeat/linkbeat/agent/supervise"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
)

const (
	memorableBytes = 2 << 10 // of a reply that is kept to answer a duplicate
	detailBytes    = 512     // of a reply's detail: it may quote a command, and is never as long as one
	aroundReply    = 64      // bytes that a reply costs on the wire beside itself, about
)

// Downlink carries commands from the link to devices, each at most once, and appends the replies to their spool. All but the
// counters is immutable.
type Downlink struct {
	device  func(name string) (Target, bool)
	replies *spool.Spool
	journal *Journal
	clock   clock.Clock
	log     zerolog.Logger
	floods  *flood.Log // of what is refused
	loop    *supervise.Loop
	answers *flood.Answers // to what is refused
	repeats flood.Answers  // first replies that are sent again

	intake   chan arrival  // of intakeMessages
	outcomes chan outcome  // of intakeMessages
	rejected chan rejected // of rejectedMessages
	waiting  atomic.Int64  // bytes in intake

	mu       sync.Mutex
	counters statuspage.Commands // guarded by mu
}

// outcome is how a command in its target's queue ended.
type outcome struct {
	command command
	target  Target
	answer  bridge.Answer
	err     error
}

// New returns a downlink that is not running. device finds the target of a command by its name; p is busy while a command is
// worked on.
func New(device func(string) (Target, bool), replies *spool.Spool, j *Journal, c clock.Clock, log zerolog.Logger,
	p *supervise.Loop) *Downlink {
	return &Downlink{device: device, replies: replies, journal: j, clock: c, log: log, floods: flood.NewLog(log), loop: p,
		answers: flood.NewAnswers(), repeats: flood.Answers{Bucket: flood.Bucket{Burst: 60, PerMinute: 60}},
		intake:   make(chan arrival, intakeMessages),
		outcomes: make(chan outcome, intakeMessages), rejected: make(chan rejected, rejectedMessages)}
}

// Charge says who counts what refused commands cost. It is called before Run.
func (d *Downlink) Charge(t flood.Toll) { d.answers.Charge(t) }

// Run carries commands until ctx is done. What is in a device's queue then is answered by unknown_outcome after the restart.
func (d *Downlink) Run(ctx context.Context) error {
	defer d.loop.Gone()
	defer d.floods.Flush()
	d.answerCut()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case a := <-d.intake:
			d.waiting.Add(-int64(len(a.payload)))
			d.busy(func() { d.handle(newCommand(a)) })
		case t := <-d.rejected:
			d.busy(func() { d.answerRejected(t) })
		case o := <-d.outcomes:
			d.busy(func() { d.settle(o) })
		}
	}
	d.last()
	return d.journal.close()
}

func (d *Downlink) busy(work func()) {
	d.loop.Begin()
	defer d.loop.End()
	work()
}

// answerCut answers what a crash cut. The answer is in the spool before the journal forgets that it is owed.
func (d *Downlink) answerCut() {
	if len(d.journal.cut) == 0 {
		return
	}
	if err := d.journal.rewrite(d.clock.Now()); err != nil {
		d.log.Error().Err(err).Msg("command journal cannot be written: commands that a crash interrupted will be answered again")
	}
	for _, e := range d.journal.cut {
		unknown := wire.Reply{ID: e.ID, Error: wire.UnknownOutcome, Detail: "the agent ended while it carried this out"}
		d.reply(e.Name, unknown)
		d.remember(e.ID, unknown)
	}
	d.journal.cut = nil
}

// last answers what ended before the stop, as the devices have returned by now, and what will not be carried out.
func (d *Downlink) last() {
	for {
		select {
		case o := <-d.outcomes:
			d.settle(o)
		case t := <-d.rejected:
			d.answerRejected(t)
		case a := <-d.intake:
			d.waiting.Add(-int64(len(a.payload)))
			d.answerStopped(newCommand(a))
		default:
			return
		}
	}
}

// answerStopped answers what the stop leaves in the intake, which is no more than that has room for: the server has our
// acknowledgement of it, and will not send it again.
func (d *Downlink) answerStopped(c command) {
	d.answers.Pay(c.cost)
	if c.id == "" {
		d.count(func(n *statuspage.Commands) { n.Refused++; n.Unanswered++ })
		return
	}
	d.answerRejected(rejected{c.name, c.id, wire.Busy, errcode.Stopping})
}

// answerRejected answers what the intake did not take and may be answered.
func (d *Downlink) answerRejected(t rejected) {
	d.count(func(c *statuspage.Commands) { c.Refused++ })
	reply := wire.Reply{ID: t.id, Error: t.code, Detail: t.detail}
	if known, running := d.journal.lookup(t.id); known != nil && t.code != wire.Retained {
		reply = *known
	} else if running != nil && t.code != wire.Retained {
		reply.Error, reply.Detail = wire.Duplicate, running.Error()
	}
	d.answers.Pay(d.reply(t.name, reply))
}

// answered deals with a command that came before: what the journal has of it is the answer; false: it did not.
func (d *Downlink) answered(c command) bool {
	known, running := d.journal.lookup(c.id)
	switch {
	case known != nil:
		d.repeated(c, *known)
	case running != nil:
		d.refuse(c, wire.Duplicate, running.Error())
	default:
		return false
	}
	return true
}

// handle carries out one command, or answers with an error.
func (d *Downlink) handle(c command) {
	if c.id == "" {
		const dropped = "command without a usable id dropped: it cannot be answered"
		d.count(func(n *statuspage.Commands) { n.Refused++; n.Unanswered++ })
		d.answers.Pay(c.cost)
		d.floods.Warn(dropped).Str("device", clipName(c.name)).Err(c.fault).Msg(dropped)
		return
	}
	if c.fault == nil && d.answered(c) { // what is malformed has nobody's id for certain
		return
	}
	t, code, detail := d.check(c, nil)
	if code != "" {
		d.refuse(c, code, detail)
		return
	}
	d.start(c, t.Rate)
}

// check finds the target of a command and says why it must not be carried out there; an empty code: it may. The command
// counts for the target's rate, unless it did so already.
func (d *Downlink) check(c command, counted *Rate) (Target, wire.ErrorCode, string) {
	t, known := d.device(c.name)
	switch {
	case c.fault != nil:
		return t, wire.Malformed, c.fault.Error()
	case !known:
		return t, wire.UnknownDevice, ""
	case !t.Commands:
		return t, wire.Denied, "the device's configuration does not say commands: true"
	}
	code, detail := d.clock.Due(c.expires, wire.MaxExpiry)
	if code == "" {
		code, detail = d.journal.due(c.expires, d.clock.Now())
	}
	if code == "" {
		code, detail = t.check(c)
	}
	if code == "" && t.Rate != counted && !t.Rate.take(time.Now()) {
		return t, wire.Busy, t.Limits.tooFast()
	}
	return t, code, detail
}

// start puts the id of a command that may be carried out on disk, and the command into its target's queue. It is checked once
// more in between: the disk takes its time, and a reload may have come.
func (d *Downlink) start(c command, counted *Rate) {
	if err := d.journal.begin(c, d.clock.Now()); errors.Is(err, errJournalFull) {
		d.refuse(c, wire.Busy, err.Error())
		return
	} else if err != nil {
		d.refuse(c, wire.Failed, "at most once cannot be kept: "+err.Error())
		return
	}
	d.count(func(n *statuspage.Commands) { n.Running++ })
	t, code, detail := d.check(c, counted)
	if code != "" {
		d.logRefusal(c.name, c.id, code)
		d.finish(c.name, wire.Reply{ID: c.id, Error: code, Detail: detail})
		return
	}
	err := t.carry(c, func(got bridge.Answer, err error) {
		d.outcomes <- outcome{c, t, got, err}
	})
	if err != nil {
		d.settle(outcome{command: c, target: t, err: err})
	}
}

// settle answers a command that ended at its target.
func (d *Downlink) settle(o outcome) {
	d.finish(o.command.name, o.target.reply(o.command, o.answer, o.err))
}

// finish counts, remembers and sends the reply to a command that was begun.
func (d *Downlink) finish(name string, reply wire.Reply) {
	d.count(func(n *statuspage.Commands) {
		n.Running--
		switch {
		case reply.OK:
			n.Done++
		case reply.Error == wire.Failed || reply.Error == wire.Timeout || reply.Error == wire.UnknownOutcome:
			n.Failed++
		default:
			n.Refused++
		}
	})
	d.remember(reply.ID, memorable(reply))
	d.reply(name, reply)
}

// memorable is what the journal keeps of a reply: a long answer is not worth its memory.
func memorable(r wire.Reply) wire.Reply {
	if len(r.Append(nil)) <= memorableBytes {
		return r
	}
	return wire.Reply{ID: r.ID, OK: r.OK, Error: r.Error, Detail: "the answer was too long to be kept for a second time"}
}

// refuse refuses a command that did not reach its device's queue.
func (d *Downlink) refuse(c command, code wire.ErrorCode, detail string) {
	d.logRefusal(c.name, c.id, code)
	d.refused(c, wire.Reply{ID: c.id, Error: code, Detail: detail})
}

// repeated answers a command that was carried out before with its first reply: whoever lost it may ask for that. More than
// somebody can have lost is refused.
func (d *Downlink) repeated(c command, reply wire.Reply) {
	if !d.repeats.Take(time.Now()) {
		d.refused(c, reply)
		return
	}
	d.count(func(n *statuspage.Commands) { n.Refused++ })
	d.reply(c.name, reply)
}

// refused counts a command that was not carried out now, and answers it while refusals are answered.
func (d *Downlink) refused(c command, reply wire.Reply) {
	d.answers.Pay(c.cost)
	answer := d.answers.Take(time.Now())
	d.count(func(n *statuspage.Commands) {
		if n.Refused++; !answer {
			n.Unanswered++
		}
	})
	if answer {
		d.answers.Pay(d.reply(c.name, reply))
	}
}

// logRefusal writes the first refusal of a code with its device, and how many more there were each minute.
func (d *Downlink) logRefusal(name, id string, code wire.ErrorCode) {
	line := d.floods.Warn("command refused: "+string(code)).Str("device", clipName(name))
	supervise.Str(line, "id", id).Str("error", string(code)).Msg("command refused")
}

func (d *Downlink) remember(id string, reply wire.Reply) {
	if err := d.journal.finish(id, reply); err != nil {
		const unsaved = "command journal: an outcome could not be saved"
		d.floods.Warn(unsaved).Str("id", id).Err(err).Msg(unsaved)
	}
}

// reply appends a reply to its spool, which keeps it over an outage. It returns what that costs on the wire, in bytes, about.
func (d *Downlink) reply(name string, reply wire.Reply) int {
	if len(name) > wire.MaxName {
		return 0 // no topic of ours is so long
	}
	reply.Detail = flood.Clip(reply.Detail, detailBytes)
	stored := record.AppendReply(nil, name, reply)
	if _, err := d.replies.Append("", stored); err != nil {
		const lost = "reply to a command lost"
		d.floods.Line(zerolog.ErrorLevel, lost, 1).Str("device", name).Str("id", reply.ID).Err(err).Msg(lost)
		return 0
	}
	return len(stored) + aroundReply
}

func (d *Downlink) count(f func(*statuspage.Commands)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.counters)
}

// Why says what was lost of the commands that came before the start; empty: nothing.
func (d *Downlink) Why() string { return d.journal.Why() }

// Status is the counters, which balance: received = done + failed + refused + running + overflowed.
func (d *Downlink) Status() statuspage.Commands {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counters
}
