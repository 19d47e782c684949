package agent

import (
	"errors"

	"github.com/linkbeat/linkbeat/agent/wire"
	bridge "github.com/linkbeat/linkbeat/firmware-bridge"
	"github.com/linkbeat/linkbeat/firmware-bridge/framing"
	"github.com/linkbeat/linkbeat/firmware-bridge/modbus"
)

const isStopping = "the agent is stopping"

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
		errors.Is(err, framing.ErrNoHeader), errors.Is(err, framing.ErrChecksum), errors.Is(err, framing.ErrMalformed), errors.Is(err, bridge.ErrIsBus), errors.Is(err, bridge.ErrNoUnit), errors.Is(err, modbus.ErrValue), errors.Is(err, bridge.ErrBadLine):
		return wire.Malformed
	}
	return wire.Failed
}
