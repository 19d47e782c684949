package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/wire"
)

// defaultPatience is how long a command may wait for its turn, and we for its reply.
const defaultPatience = 30 * time.Second

// How long a gateway may be at a command whose turn has come.
const (
	longestAnswer = time.Minute      // a request
	writeLasts    = 10 * time.Second // a write, of values with its read-back
)

// Command is for one serial device, or for a unit of a Modbus bus: a write, or a request if Request is true.
type Command struct {
	Device   string // gateway
	Name     string // serial device or unit
	Data     []byte
	Encoding wire.Encoding              // how Data travels; text that is not UTF-8 goes as base64
	Values   map[string]json.RawMessage // for registers of a unit, by name, instead of Data
	Patience time.Duration              // until the command expires; if zero, 30 s

	Request bool          // the reply has the device's answer
	Within  time.Duration // until the answer begins; if zero, what the gateway's configuration says
	Silence time.Duration // the answer is all until so much silence, not one frame; if zero, what the configuration says
}

// DeviceError is a reply that says no.
type DeviceError struct{ Reply wire.Reply }

// Error names the code, what the gateway says of it, and what to do.
func (e DeviceError) Error() string {
	s := string(e.Reply.Error)
	if e.Reply.Detail != "" {
		s += ": " + printable.Line(e.Reply.Detail)
	}
	if a := advice(e.Reply.Error); a != "" {
		s += "; " + a
	}
	return s
}

// advice says what a person can do about a code; empty when the code says it all.
func advice(c wire.ErrorCode) string {
	switch c {
	case wire.Busy:
		return "it is in use, or its queue is full: try again"
	case wire.Expired:
		return "it came too late: compare the clocks of this machine and the gateway, or wait longer with --timeout"
	case wire.Denied:
		return "see commands and requests.allow of this device in the gateway's configuration"
	case wire.ClockUnset:
		return "the gateway's clock is not set yet: try again once it is"
	case wire.UnknownDevice:
		return "linkbeatctl devices lists the names of each gateway"
	case wire.TooLarge:
		return "see frame.max and requests.max of this device in the gateway's configuration"
	case wire.UnknownOutcome:
		return "the gateway was stopped while it was carried out: look at the device before you send it again"
	case wire.Timeout:
		return "the device did not take it or did not answer in time: look at its port with linkbeatctl tap"
	}
	return ""
}

// Send sends cmd and waits for the reply. A nil error means that it was written and drained; a request, that it was answered;
// values, that they read back as written. Errors: DeviceError, the gateway refused or failed; ErrNoReply, nothing came in time;
// ErrUnreachable, no session with the broker; ErrArgument, a name that cannot be.
func Send(ctx context.Context, o Options, cmd Command) (wire.Reply, error) {
	if cmd.Patience <= 0 {
		cmd.Patience = defaultPatience
	}
	o, err := o.withDefaults()
	if err != nil {
		return wire.Reply{}, err
	}
	if err := checkNames(cmd.Device, cmd.Name, false); err != nil {
		return wire.Reply{}, err
	}
	t := o.Topics.For(cmd.Device)
	replies := wire.Expand(t.Reply, "name", cmd.Name)
	c, err := connect(ctx, o, replies, t.State)
	if err != nil {
		return wire.Reply{}, err
	}
	defer c.close()
	sent := cmd.wire(time.Now())
	publishing, cancel := context.WithTimeout(ctx, cmd.Patience)
	defer cancel()
	if err := c.publish(publishing, wire.Expand(t.Cmd, "name", cmd.Name)+cmd.suffix(), sent.Append(nil)); err != nil {
		return wire.Reply{}, err
	}
	return c.reply(ctx, replies, sent.ID, cmd)
}

func (c Command) wire(now time.Time) wire.Command {
	w := wire.Command{ID: randomHex(8), Expires: now.Add(c.Patience).UnixMilli(), Values: c.Values}
	if c.Values == nil {
		e := c.Encoding
		if e == "" || e == wire.Text && !utf8.Valid(c.Data) {
			e = wire.Base64
		}
		w.Body, _ = wire.NewBody(c.Data, e)
	}
	if c.Within > 0 {
		w.Timeout = c.Within.String()
	}
	if c.Silence > 0 {
		w.Silence = c.Silence.String()
	}
	return w
}

func (c Command) suffix() string {
	if c.Request {
		return wire.RequestSuffix
	}
	return wire.WriteSuffix
}

// answer is how long a reply may still take when the command's turn has come at the last moment: the device has its own time.
func (c Command) answer() time.Duration {
	if c.Request {
		return max(c.Within, longestAnswer)
	}
	return writeLasts
}

// reply waits for the answer to id. A gateway that is online answers everything, so it has the time of the device
// beyond the command's expiry.
func (c *client) reply(ctx context.Context, topic, id string, cmd Command) (wire.Reply, error) {
	state, online := fmt.Sprintf("the broker knows no gateway %q: see linkbeatctl devices", cmd.Device), false
	waited := cmd.Patience
	r, ok := c.replyWithin(ctx, cmd.Patience, topic, id, func(p []byte) { state, online = stateSentence(cmd.Device, p) })
	if !ok && online && ctx.Err() == nil {
		waited += cmd.answer()
		r, ok = c.replyWithin(ctx, cmd.answer(), topic, id, func(p []byte) { state, _ = stateSentence(cmd.Device, p) })
	}
	switch {
	case !ok && ctx.Err() != nil:
		return r, fmt.Errorf("interrupted: the command may still be carried out until it expires, "+
			"so look at the device before you send it again: %w", ctx.Err())
	case !ok:
		return r, fmt.Errorf("%w from %s/%s within %v; %s", ErrNoReply, cmd.Device, cmd.Name, waited, state)
	case !r.OK:
		return r, DeviceError{Reply: r}
	}
	return r, nil
}

// replyWithin is the reply to id; false when none came in time. state is called with what the gateway says of itself meanwhile.
func (c *client) replyWithin(ctx context.Context, limit time.Duration, topic, id string,
	state func(payload []byte)) (wire.Reply, bool) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		m, _, ok := c.inbox.take(ctx)
		if !ok {
			return wire.Reply{}, false
		}
		if m.topic != topic {
			state(m.payload)
			continue
		}
		if r, err := wire.ParseReply(m.payload); err == nil && r.ID == id { // or another operator's
			return r, true
		}
	}
}

func stateSentence(device string, payload []byte) (sentence string, online bool) {
	s, err := wire.ParseState(payload)
	if err != nil {
		return fmt.Sprintf("the state of %s cannot be read: %v", device, err), false
	}
	if s.Online {
		return device + " is online: a lost reply is possible, so look at the device before you send it again", true
	}
	return device + " is offline: the command has expired and will not be carried out", false
}
