package downlink

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/linkbeat/linkbeat/agent/errcode"
	"github.com/linkbeat/linkbeat/agent/flood"
	"github.com/linkbeat/linkbeat/agent/record"
	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
)

// Limits are what the configuration allows the uplink to do with a device that takes commands.
type Limits struct {
	Max       int      // bytes of one command; 0: no limit
	PerMinute int      // 0: no limit
	Burst     int      // of these, so many at once; 0: all of a minute's
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
	// what Set would say at once, and the bytes of its longest request
	Fits func(values map[string]string) (longest int, err error)
}

// check says why a command must not go to the target; an empty code: it may, as far as its rate allows.
func (t Target) check(c command) (wire.ErrorCode, string) {
	if code, detail := t.checkShape(c); code != "" || c.values != nil {
		return code, detail
	}
	p := append(bytes.Clone(t.Address), c.bytes...)
	switch {
	case t.Limits.Max > 0 && len(p) > t.Limits.Max:
		return wire.TooLarge, fmt.Sprintf("%d bytes, the device's configuration allows %d", len(p), t.Limits.Max)
	case !t.Limits.allows(p):
		return wire.Denied, "the device's configuration does not allow bytes that begin so"
	}
	return "", ""
}

// checkShape says why a command is not of the kind that the target takes.
func (t Target) checkShape(c command) (wire.ErrorCode, string) {
	if c.values != nil {
		return t.checkValues(c)
	}
	switch {
	case c.request && t.Request == nil:
		return wire.Failed, bridge.ErrNotOpen.Error()
	case !c.request && t.Set != nil:
		return wire.Malformed, "a unit takes values: use /request for bytes"
	case c.spanFault != nil:
		return wire.Malformed, c.spanFault.Error()
	}
	return "", ""
}

func (t Target) checkValues(c command) (wire.ErrorCode, string) {
	switch {
	case c.request:
		return wire.Malformed, "a request has bytes: use /write for values"
	case t.Set == nil:
		return wire.Malformed, "values are for the units of a Modbus bus"
	}
	n, err := t.Fits(c.values)
	switch {
	case err != nil:
		return wire.Malformed, err.Error()
	case t.Limits.Max > 0 && n > t.Limits.Max:
		return wire.TooLarge, fmt.Sprintf("a request of %d bytes, the device's configuration allows %d", n, t.Limits.Max)
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

// exchange is the request that a command makes of the device.
func (t Target) exchange(c command) bridge.Request {
	r := bridge.Request{Payload: c.bytes, Expires: deadline(c.expires), Timeout: t.Limits.Timeout,
		Silence: t.Limits.Silence, Unit: t.Unit}
	if c.timeout >= 0 {
		r.Timeout = c.timeout
	}
	if c.silence >= 0 {
		r.Silence = c.silence
	}
	return r
}

// deadline is when a command that expires at that Unix time, in ms, is too old, by the monotonic clock: what waits in a queue
// neither expires nor becomes young again because the wall clock is set.
func deadline(expires int64) time.Time {
	now := time.Now()
	return now.Add(time.UnixMilli(expires).Sub(now))
}

// carry hands a command to the device's queue. done is called exactly once, unless an error is returned.
func (t Target) carry(c command, done func(bridge.Answer, error)) error {
	switch {
	case c.values != nil:
		return t.Set(c.values, deadline(c.expires), done)
	case c.request:
		return t.Request(t.exchange(c), done)
	}
	return t.Write(c.bytes, deadline(c.expires), func(err error) { done(bridge.Answer{}, err) })
}

// reply is what a command is answered with: what the device brought back, and the error that it ended with.
func (t Target) reply(c command, a bridge.Answer, err error) wire.Reply {
	reply := wire.Reply{ID: c.id, OK: err == nil}
	switch {
	case len(a.Frames) == 0:
	case t.exchange(c).Silence > 0 && t.Unit == "" && t.Address == nil:
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
	if err != nil {
		reply.Error, reply.Detail = errcode.Of(err), err.Error()
	}
	return reply
}

// Rate is how many commands a device takes. Safe for concurrent use; nil has no limit.
type Rate struct {
	mu     sync.Mutex
	bucket flood.Bucket
}

// NewRate returns the rate that limits say, with nothing taken; nil for no limit.
func NewRate(l Limits) *Rate {
	if l.PerMinute == 0 {
		return nil
	}
	return &Rate{bucket: flood.Bucket{Burst: float64(l.burst()), PerMinute: float64(l.PerMinute)}}
}

func (r *Rate) take(now time.Time) bool {
	if r == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bucket.Take(now)
}

// burst is how many come through at once.
func (l Limits) burst() int {
	if l.Burst == 0 {
		return l.PerMinute
	}
	return l.Burst
}

// tooFast says that the rate is used up, and what to do.
func (l Limits) tooFast() string {
	return fmt.Sprintf("more than %d commands in a minute, or %d at once: send them more slowly, "+
		"or see requests.per_minute of the device", l.PerMinute, l.burst())
}
