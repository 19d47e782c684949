package downlink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
)

// Limits are what the configuration allows the uplink to do with a device that takes commands.
type Limits struct {
	Max       int      // bytes of one command; 0: no limit
	PerMinute int      // 0: no limit
	Allow     [][]byte // what the bytes must begin with; empty: anything
	Timeout   time.Duration
	Silence   time.Duration
}

// longestWait bounds how long a request may hold its device.
const longestWait = time.Minute

// Target is a device, or a unit of a bus, that commands can go to.
type Target struct {
	Commands bool // may the uplink write to it?
	Limits   Limits
	Rate     *Rate         // of the device; nil: no limit
	Encoding wire.Encoding // of answers
	Unit     string        // empty: the device itself
	Address  []byte        // that the bytes for the unit begin with on the line

	Write   func(payload []byte, expires time.Time, done func(error)) error
	Request func(bridge.Request, func(bridge.Answer, error)) error
	Set     func(values map[string]string, expires time.Time, done func(bridge.Answer, error)) error // nil: it takes no values
	Fits    func(values map[string]string) (longest int, err error)                                  // what Set would say at once, and the bytes of its longest request
}

// check says why a command must not go to the target; an empty code: it may. It counts for the rate.
func (t Target) check(a arrival, c wire.Command, now time.Time) (wire.ErrorCode, string) {
	if code, detail := t.checkShape(a, c); code != "" {
		return code, detail
	}
	if p, err := c.Bytes(); err == nil {
		p = append(bytes.Clone(t.Address), p...)
		switch {
		case t.Limits.Max > 0 && len(p) > t.Limits.Max:
			return wire.TooLarge, fmt.Sprintf("%d bytes, the device's configuration allows %d", len(p), t.Limits.Max)
		case !t.Limits.allows(p):
			return wire.Denied, "the device's configuration does not allow bytes that begin so"
		}
	}
	if !t.Rate.take(now) {
		return wire.Busy, fmt.Sprintf("more than %d commands in a minute", t.Limits.PerMinute)
	}
	return "", ""
}

// checkShape says why a command is not of the kind that the target takes.
func (t Target) checkShape(a arrival, c wire.Command) (wire.ErrorCode, string) {
	if c.Values != nil {
		switch {
		case a.request:
			return wire.Malformed, "a request has bytes: use /write for values"
		case t.Set == nil:
			return wire.Malformed, "values are for the units of a Modbus bus"
		}
		n, err := t.Fits(texts(c.Values))
		switch {
		case err != nil:
			return wire.Malformed, err.Error()
		case t.Limits.Max > 0 && n > t.Limits.Max:
			return wire.TooLarge, fmt.Sprintf("a request of %d bytes, the device's configuration allows %d", n, t.Limits.Max)
		}
		return "", ""
	}
	switch {
	case a.request && t.Request == nil:
		return wire.Failed, bridge.ErrNotOpen.Error()
	case !a.request && t.Set != nil:
		return wire.Malformed, "a unit takes values: use /request for bytes"
	}
	if _, err := t.ask(c); err != nil {
		return wire.Malformed, err.Error()
	}
	return "", ""
}

func (l Limits) allows(p []byte) bool {
	for _, prefix := range l.Allow {
		if bytes.HasPrefix(p, prefix) {
			return true
		}
	}
	return len(l.Allow) == 0
}

// ask is the request that a command makes.
func (t Target) ask(c wire.Command) (bridge.Request, error) {
	r := bridge.Request{Expires: time.UnixMilli(c.Expires), Timeout: t.Limits.Timeout, Silence: t.Limits.Silence, Unit: t.Unit}
	for _, span := range []struct {
		name, text string
		to         *time.Duration
	}{{"timeout", c.Timeout, &r.Timeout}, {"silence", c.Silence, &r.Silence}} {
		if span.text == "" {
			continue
		}
		d, err := time.ParseDuration(span.text)
		if err != nil || d < 0 || d > longestWait {
			return r, fmt.Errorf("%s must be a duration of at most %s, such as 500ms", span.name, longestWait)
		}
		*span.to = d
	}
	r.Payload, _ = c.Bytes() // ParseCommand has seen to it
	return r, nil
}

// carry hands a command to the device's queue; done as its methods say.
func (t Target) carry(a arrival, c wire.Command, done func(bridge.Answer, error)) error {
	switch {
	case c.Values != nil:
		return t.Set(texts(c.Values), time.UnixMilli(c.Expires), done)
	case a.request:
		r, err := t.ask(c)
		if err != nil {
			return err
		}
		return t.Request(r, done)
	}
	p, _ := c.Bytes()
	return t.Write(p, time.UnixMilli(c.Expires), func(err error) { done(bridge.Answer{}, err) })
}

// answer puts into a reply what the device brought back.
func (t Target) answer(reply *wire.Reply, c wire.Command, a bridge.Answer) {
	r, err := t.ask(c)
	switch {
	case err != nil || len(a.Frames) == 0:
	case r.Silence > 0 && t.Unit == "" && t.Address == nil:
		for _, f := range a.Frames {
			body, _ := wire.NewBody(f, t.Encoding)
			reply.Frames = append(reply.Frames, body)
		}
	default:
		reply.Body, _ = wire.NewBody(a.Frames[0], t.Encoding)
	}
	if len(a.Values) > 0 {
		reply.Measured = record.MeasuredOf(a.Values, false).Measured
	}
}

func texts(values map[string]json.RawMessage) map[string]string {
	out := make(map[string]string, len(values))
	for name, v := range values {
		out[name] = string(v)
	}
	return out
}

// Rate is a bucket of a minute's commands, refilled evenly. Safe for concurrent use; nil has no limit.
type Rate struct {
	perMinute int

	mu   sync.Mutex
	have float64
	at   time.Time
}

// NewRate returns a full bucket; nil for 0, which is no limit.
func NewRate(perMinute int) *Rate {
	if perMinute == 0 {
		return nil
	}
	return &Rate{perMinute: perMinute, have: float64(perMinute)}
}

func (r *Rate) take(now time.Time) bool {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() {
		r.have = min(r.have+now.Sub(r.at).Minutes()*float64(r.perMinute), float64(r.perMinute))
	}
	r.at = now
	if r.have < 1 {
		return false
	}
	r.have--
	return true
}
