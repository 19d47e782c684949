package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/agent/wire"
)

// defaultPatience is how long a command may wait for its turn, and we for its reply.
const defaultPatience = 30 * time.Second

// Write is a command to one serial device.
type Write struct {
	Device   string // gateway
	Name     string // serial device
	Data     []byte
	Encoding wire.Encoding // how Data travels; text that is not UTF-8 goes as base64
	Patience time.Duration // until the command expires, and we stop waiting; if zero, 30 s
}

// DeviceError is a reply that says no.
type DeviceError struct{ Reply wire.Reply }

// Error names the code, what the gateway says of it, and what to do.
func (e DeviceError) Error() string {
	s := string(e.Reply.Error)
	if e.Reply.Detail != "" {
		s += ": " + printable([]byte(e.Reply.Detail))
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
		return "it came too late: compare the clocks here and there, or wait longer with --timeout"
	case wire.Denied:
		return "set commands: true for it in the gateway's configuration"
	case wire.ClockUnset:
		return "the gateway's clock is not set yet: try again once it is"
	case wire.UnknownDevice:
		return "the gateway's names: linkbeatctl devices"
	case wire.TooLarge:
		return "longer than the device's frame.max"
	case wire.UnknownOutcome:
		return "the gateway was killed in between: look at the device before you send it again"
	case wire.Timeout:
		return "the device did not take it in time: look at its port"
	}
	return ""
}

// Send sends w and waits for the reply: nil error means written and drained. A DeviceError is the gateway's no, ErrNoReply
// nothing in time, ErrUnreachable the broker's doing.
func Send(ctx context.Context, o Options, w Write) (wire.Reply, error) {
	if w.Patience <= 0 {
		w.Patience = defaultPatience
	}
	o, err := o.withDefaults()
	if err != nil {
		return wire.Reply{}, err
	}
	for what, level := range map[string]string{"device": w.Device, "name": w.Name} {
		if err := wire.CheckLevel(level); err != nil {
			return wire.Reply{}, fmt.Errorf("%s %q %w", what, level, err)
		}
	}
	t := o.Topics.For(w.Device)
	replies := wire.Expand(t.Reply, "name", w.Name)
	c, err := connect(ctx, o, replies, t.State)
	if err != nil {
		return wire.Reply{}, err
	}
	defer c.close()
	cmd := w.command(time.Now())
	waiting, cancel := context.WithTimeout(ctx, w.Patience)
	defer cancel()
	if err := c.publish(waiting, wire.Expand(t.Cmd, "name", w.Name)+wire.WriteSuffix, cmd.Append(nil)); err != nil {
		return wire.Reply{}, err
	}
	return c.reply(waiting, replies, cmd.ID, w)
}

func (w Write) command(now time.Time) wire.Command {
	e := w.Encoding
	if e == "" || e == wire.Text && !utf8.Valid(w.Data) {
		e = wire.Base64
	}
	body, _ := wire.NewBody(w.Data, e)
	return wire.Command{ID: randomHex(8), Expires: now.Add(w.Patience).UnixMilli(), Body: body}
}

// reply waits for the answer to id, and keeps in mind what the gateway's state says meanwhile.
func (c *client) reply(ctx context.Context, topic, id string, w Write) (wire.Reply, error) {
	state := fmt.Sprintf("the broker knows no gateway %q: see linkbeatctl devices", w.Device)
	for {
		m, _, ok := c.inbox.take(ctx)
		switch {
		case !ok && errors.Is(ctx.Err(), context.Canceled):
			return wire.Reply{}, fmt.Errorf("interrupted: the command may still be carried out until it expires: %w", ctx.Err())
		case !ok:
			return wire.Reply{}, fmt.Errorf("%w from %s/%s within %v; %s", ErrNoReply, w.Device, w.Name, w.Patience, state)
		case m.topic != topic:
			state = stateSentence(w.Device, m.payload)
			continue
		}
		r, err := wire.ParseReply(m.payload)
		if err != nil || r.ID != id {
			continue // another operator's
		}
		if !r.OK {
			return r, DeviceError{Reply: r}
		}
		return r, nil
	}
}

func stateSentence(device string, payload []byte) string {
	s, err := wire.ParseState(payload)
	if err != nil {
		return fmt.Sprintf("the state of %s cannot be read: %v", device, err)
	}
	if s.Online {
		return device + " is online: a lost reply is possible, so look at the device before you send it again"
	}
	return device + " is offline: the command has expired and will not be carried out"
}

// NewWrite makes a Write from what a person gave: text, hex digits or base64, the latter two with white space where it helps.
func NewWrite(device, name, encoding, given string) (Write, error) {
	w := Write{Device: device, Name: name, Encoding: wire.Encoding(encoding)}
	body := wire.Body{Text: &given}
	switch dense := strings.Join(strings.Fields(given), ""); w.Encoding {
	case wire.Text:
	case wire.Hex:
		body = wire.Body{Hex: &dense}
	case wire.Base64:
		body = wire.Body{Base64: &dense}
	default:
		return w, fmt.Errorf("encoding %q is not known: text, hex and base64 are", encoding)
	}
	var err error
	if w.Data, err = body.Bytes(); err != nil {
		return w, fmt.Errorf("payload is not %s: %w", encoding, err)
	}
	return w, nil
}
