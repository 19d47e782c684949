// Package netdial opens streams to servers, up to where MQTT begins: names and addresses in turn, interfaces, proxies, TLS,
// WebSocket and the options of our sockets. Servers and settings come in, streams go out; what they cost on the wire is counted
// by cause. What failed lately is tried last for a while. It speaks no MQTT, and whom to dial when is decided elsewhere.
package netdial

// Cause is what a message is booked under in the ledger of Status.
type Cause uint8

// The causes. A message that names none is data.
const (
	CauseData      Cause = iota // frames and replies of devices
	CauseCmd                    // commands
	CauseLog                    // our own log
	CauseConfig                 // the fleet's configuration and what is reported about it
	CauseProbe                  // what learning costs
	CauseHandshake              // TLS, WebSocket, CONNECT, SUBSCRIBE, birth and will
	CausePing                   // PINGREQ and PINGRESP
	CauseRefused                // messages that nobody takes
	causeCount
)
