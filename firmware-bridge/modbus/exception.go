package modbus

import "fmt"

// Exception is the answer of a unit that does not do what was asked (APP 7).
type Exception byte

// The exceptions that mean something to a master.
const (
	IllegalFunction     Exception = 1
	IllegalDataAddress  Exception = 2
	IllegalDataValue    Exception = 3
	Acknowledge         Exception = 5
	GatewayPathMissing  Exception = 0x0a
	GatewayTargetSilent Exception = 0x0b
)

// Error is the standard's name of the exception.
func (e Exception) Error() string {
	switch e {
	case IllegalFunction:
		return "ILLEGAL FUNCTION"
	case IllegalDataAddress:
		return "ILLEGAL DATA ADDRESS"
	case IllegalDataValue:
		return "ILLEGAL DATA VALUE"
	case 4:
		return "SERVER DEVICE FAILURE"
	case Acknowledge:
		return "ACKNOWLEDGE"
	case 6:
		return "SERVER DEVICE BUSY"
	case 7:
		return "NEGATIVE ACKNOWLEDGE" // of the standard's older edition
	case 8:
		return "MEMORY PARITY ERROR"
	case GatewayPathMissing:
		return "GATEWAY PATH UNAVAILABLE"
	case GatewayTargetSilent:
		return "GATEWAY TARGET DEVICE FAILED TO RESPOND"
	}
	return fmt.Sprintf("EXCEPTION %d", byte(e))
}

// FromGateway is true when a gateway says it: the unit itself has not answered.
func (e Exception) FromGateway() bool { return e == GatewayPathMissing || e == GatewayTargetSilent }

// Unsure is true when the request may be carried out all the same: the unit is still busy with it, or a gateway has stopped
// waiting for the answer.
func (e Exception) Unsure() bool { return e == Acknowledge || e == GatewayTargetSilent }
