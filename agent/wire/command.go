package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/strictjson"
)

// ErrorCode is what a reply says when a command was not carried out.
type ErrorCode string

// The error codes of a reply.
const (
	// a queue is full, too many in a minute, or the gateway is stopping; nothing was written
	Busy           ErrorCode = "busy"
	Expired        ErrorCode = "expired"         // it arrived, or its turn came, after expires
	NoExpiry       ErrorCode = "no_expiry"       // a command without expires is refused
	Retained       ErrorCode = "retained"        // a retained command would be repeated at every connect
	Duplicate      ErrorCode = "duplicate"       // the same id is being carried out right now
	ClockUnset     ErrorCode = "clock_unset"     // expires cannot be judged yet
	Denied         ErrorCode = "denied"          // the device does not say commands: true, or not for these bytes
	Timeout        ErrorCode = "timeout"         // the device did not take it, or did not answer, in time
	UnknownDevice  ErrorCode = "unknown_device"  // no such name in the configuration
	TooLarge       ErrorCode = "too_large"       // longer than the device's frame may be, or than the gateway takes
	UnknownOutcome ErrorCode = "unknown_outcome" // the agent was killed between taking and finishing it
	Malformed      ErrorCode = "malformed"       // not a command; detail says why
	Failed         ErrorCode = "failed"          // the device is absent, broke off or refused it; detail says why
)

// MaxCommandID is the longest id of a command, in bytes.
const MaxCommandID = 128

// MaxExpiry is how far ahead expires may lie: a gateway remembers a command until then, so that it is carried out once.
const MaxExpiry = 24 * time.Hour

// Command is a write or a request to a device.
type Command struct {
	ID      string `json:"id"`      // chosen by the sender, unique; 1 to [MaxCommandID] bytes
	Expires int64  `json:"expires"` // Unix ms after which it must not be carried out; at most [MaxExpiry] ahead
	Body
	Values  map[string]json.RawMessage `json:"values,omitempty"`  // writes to a unit of a Modbus bus, instead of bytes
	Timeout string                     `json:"timeout,omitempty"` // requests only: how long to wait for the answer, such as 500ms
	// requests only: the answer is all that comes until so much silence
	Silence string `json:"silence,omitempty"`
}

// ParseCommand reads a command, strictly: see [strictjson]. When it fails, the returned command has the id if one could be read,
// so that the fault can be answered. A missing expires is not a fault here: it has an error code of its own.
func ParseCommand(p []byte) (Command, error) {
	var c Command
	if err := strictjson.Unmarshal(p, &c); err != nil {
		return Command{ID: CommandID(p)}, fmt.Errorf("not a command: %w", err)
	}
	switch {
	case c.ID == "":
		return c, errors.New("no id")
	case len(c.ID) > MaxCommandID:
		return Command{}, fmt.Errorf("id of %d bytes, at most %d", len(c.ID), MaxCommandID)
	case c.Values != nil && c.count() == 0:
		return c, Measured{Values: c.Values}.check()
	case c.count() != 1 || c.Values != nil:
		return c, errors.New("exactly one of text, hex, base64 and values is needed")
	}
	if _, err := c.Bytes(); err != nil {
		return c, err
	}
	return c, nil
}

// CommandID is the id under which a command that is not carried out is answered; "" without a usable one. It is the first that
// its sender may have meant.
func CommandID(p []byte) string {
	dec := json.NewDecoder(bytes.NewReader(p))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return ""
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return ""
		}
		var id string
		if name, ok := key.(string); ok && strings.EqualFold(name, "id") {
			if dec.Decode(&id) != nil || len(id) > MaxCommandID {
				return ""
			}
			return id
		}
		var other json.RawMessage
		if dec.Decode(&other) != nil {
			return ""
		}
	}
	return ""
}

// Append adds the command's JSON to dst.
func (c Command) Append(dst []byte) []byte { return appendJSON(dst, c) }

// Reply answers a command under up/reply/<name>.
type Reply struct {
	ID       string    `json:"id"`
	OK       bool      `json:"ok"` // written and drained; of a request: answered; of values: read back
	Body               // the answer to a request, when it is one frame
	Frames   []Body    `json:"frames,omitempty"` // the answer, when it is all until a silence
	Measured           // of a write of values: what they read afterwards
	Error    ErrorCode `json:"error,omitempty"`
	Detail   string    `json:"detail,omitempty"` // for people
}

// ParseReply reads a reply.
func ParseReply(p []byte) (Reply, error) {
	var r Reply
	if err := unmarshal(p, &r); err != nil {
		return Reply{}, fmt.Errorf("reply: %w", err)
	}
	if r.ID == "" {
		return Reply{}, errors.New("reply: no id")
	}
	r.Error = plain(r.Error)
	return r, nil
}

// maxWord bounds a word of ours, in bytes.
const maxWord = 32

// plain is a word of ours as it may be shown: whatever else a gateway puts there must not steer a terminal.
func plain[T ~string](word T) T { return T(printable.Short(string(word), maxWord)) }

// Append adds the reply's JSON to dst.
func (r Reply) Append(dst []byte) []byte { return appendJSON(dst, r) }
