// Package errcode says which error code of package wire an error of the serial side has. Commands and consoles answer with
// it, and share nothing else.
package errcode

import (
	"errors"

	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// Stopping is the detail beside wire.Busy when the agent ends.
const Stopping = "the agent is stopping"

// Of is the code of what a device said; of an error that it does not know, wire.Failed.
func Of(err error) wire.ErrorCode {
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
		errors.Is(err, framing.ErrNoHeader), errors.Is(err, framing.ErrChecksum), errors.Is(err, framing.ErrMalformed),
		errors.Is(err, bridge.ErrIsBus), errors.Is(err, bridge.ErrNoUnit), errors.Is(err, modbus.ErrValue),
		errors.Is(err, serialport.ErrBadLine):
		return wire.Malformed
	}
	return wire.Failed
}
