package transport

// Cause is what a message is booked under in the ledger of Status.
type Cause uint8

const (
	CauseData   Cause = iota // frames and replies of devices
	CauseCmd                 // commands
	CauseLog                 // our own log
	CauseConfig              // the fleet's configuration and what is reported about it
	CauseProbe               // what learning costs
	causeHandshake
	causePing
	causeCount
)
