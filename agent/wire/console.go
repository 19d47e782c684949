package wire

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/linkbeat/linkbeat/agent/strictjson"
)

// ConsoleSuffix is appended to [Topics.Cmd] for what an operator says to a console or a tap, and to [Topics.Reply] for what the
// gateway says.
const ConsoleSuffix = "/console"

// Limits of consoles that both sides know.
const (
	ConsoleLeaseS   = 30       // a session that was not renewed for so many seconds ends
	ConsoleRenewS   = 10       // how often an operator renews it
	ConsoleOpenS    = 60       // the most that expires of open or tap may lie ahead
	ConsoleWindow   = 64 << 10 // bytes that an operator may have sent and the gateway not dealt with yet
	ConsoleMessages = 32       // messages with data of that kind
	ConsoleChunk    = 4 << 10  // bytes in one message
)

// ConsoleOp is what a message of a console is about.
type ConsoleOp string

// What an operator says.
const (
	ConsoleOpen  ConsoleOp = "open"  // expires is needed
	ConsoleTap   ConsoleOp = "tap"   // open, to look only; expires is needed
	ConsoleData  ConsoleOp = "data"  // both ways
	ConsoleSet   ConsoleOp = "set"   // change the line; of the gateway: it is changed, or error says why not
	ConsoleKeep  ConsoleOp = "keep"  // renew the lease
	ConsoleClose ConsoleOp = "close" // end it
)

// What only the gateway says.
const (
	ConsoleOpened ConsoleOp = "opened"
	ConsoleKept   ConsoleOp = "kept"   // or: so much was dealt with
	ConsoleFault  ConsoleOp = "fault"  // error and detail say what could not be done; the session goes on
	ConsoleClosed ConsoleOp = "closed" // the last one; error and detail say why
)

// ConsoleLine is what can be changed about the line of a port. Zero and nil: as it is.
type ConsoleLine struct {
	Baud  int    `json:"baud,omitempty"`
	Mode  string `json:"mode,omitempty"` // 8N1
	DTR   *bool  `json:"dtr,omitempty"`
	RTS   *bool  `json:"rts,omitempty"`
	Break bool   `json:"break,omitempty"`
}

// ConsoleDown is what an operator says. Seq counts the messages of a session from 1 on, open included: a receiver drops what it
// has seen; a console whose gateway finds one missing ends, since it is not known any more what the port has got.
type ConsoleDown struct {
	ID      string    `json:"id"` // of the session, chosen by the operator; 1 to [MaxCommandID] bytes
	Seq     uint64    `json:"seq"`
	Op      ConsoleOp `json:"op"`
	Expires int64     `json:"expires,omitempty"` // Unix ms after which it must not be opened any more
	Who     string    `json:"who,omitempty"`     // what the operator says of himself, for the gateway's log
	Data    []byte    `json:"base64,omitempty"`
	ConsoleLine
}

// ConsoleUp is what the gateway says.
type ConsoleUp struct {
	ID   string    `json:"id"`
	Seq  uint64    `json:"seq"`
	Op   ConsoleOp `json:"op"`
	TS   int64     `json:"ts,omitempty"`  // Unix ms, of the first byte of data
	Out  bool      `json:"out,omitempty"` // of a tap: the gateway wrote this to the device
	Data []byte    `json:"base64,omitempty"`
	// bytes that are missing before this message: they came faster than they could be sent
	Lost  int64 `json:"lost,omitempty"`
	Taken int64 `json:"taken,omitempty"` // bytes of the operator that were written or reported as a fault, since the beginning
	Max   int   `json:"max,omitempty"`   // of opened: the most bytes of data in a message to the gateway
	ConsoleLine
	Error  ErrorCode `json:"error,omitempty"`
	Detail string    `json:"detail,omitempty"` // for people
}

// ParseConsoleDown reads what an operator says, strictly: see [strictjson]. When it fails, the id and the op are there if they
// could be read, so that it can be answered.
func ParseConsoleDown(p []byte) (m ConsoleDown, err error) {
	if err = strictjson.Unmarshal(p, &m); err != nil {
		var head struct {
			Op ConsoleOp `json:"op"`
		}
		_ = json.Unmarshal(p, &head) // it only says what is answered
		return ConsoleDown{ID: CommandID(p), Op: head.Op}, fmt.Errorf("console: %w", err)
	}
	if len(m.Mode) > longestMode {
		m.Mode = ""
		return m, fmt.Errorf("console: mode must be one like 8N1, not one of more than %d bytes", longestMode)
	}
	return m, checkConsole(m.ID, m.Seq, len(m.Data))
}

// longestMode is more than any mode has, in bytes: what is no mode is not kept, nor sent back.
const longestMode = 16

// ParseConsoleUp reads what a gateway says.
func ParseConsoleUp(p []byte) (m ConsoleUp, err error) {
	if err = unmarshal(p, &m); err != nil {
		return m, fmt.Errorf("console: %w", err)
	}
	m.Error, m.Mode = plain(m.Error), plain(m.Mode)
	return m, checkConsole(m.ID, m.Seq, len(m.Data))
}

func checkConsole(id string, seq uint64, size int) error {
	switch {
	case id == "" || len(id) > MaxCommandID:
		return fmt.Errorf("console: an id of 1 to %d bytes is needed", MaxCommandID)
	case seq == 0:
		return errors.New("console: seq counts from 1")
	case size > ConsoleChunk:
		return fmt.Errorf("console: %d bytes in a message, at most %d", size, ConsoleChunk)
	}
	return nil
}

// Append adds the JSON of m to dst.
func (m ConsoleDown) Append(dst []byte) []byte { return appendJSON(dst, m) }

// Append adds the JSON of m to dst.
func (m ConsoleUp) Append(dst []byte) []byte { return appendJSON(dst, m) }

// Sequence tells repeats and holes in the messages of one session. The zero value expects number 1.
type Sequence struct{ last uint64 }

// See returns false for a repeat, and how many messages before this one did not come.
func (s *Sequence) See(seq uint64) (fresh bool, missing uint64) {
	if seq <= s.last {
		return false, 0
	}
	missing = seq - s.last - 1
	s.last = seq
	return true, missing
}
