package transport

import (
	"github.com/linkbeat/linkbeat/transport/backoff"
	"net"

	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// What users of a Link name, and packages below it own.
type (
	// Loss is how the loss of a session was noticed; Status counts them by it.
	Loss = faults.Loss
	// Server is one place to connect to.
	Server = netdial.Server
	// TLSOptions name the files of a Server's TLS.
	TLSOptions = netdial.TLSOptions
	// Proxy is the way to a server through a proxy.
	Proxy = netdial.Proxy
	// Cause is what a message is booked under in the ledger of Status.
	Cause = netdial.Cause
	// Ledger counts the bytes of our sockets by cause.
	Ledger = netdial.Ledger
	// Backoff bounds the waiting between attempts.
	Backoff = backoff.Limits
	// Expiry is when the certificates of a session end.
	Expiry = netdial.Expiry
)

// The causes of messages.
const (
	CauseData   = netdial.CauseData   // frames and replies of devices
	CauseCmd    = netdial.CauseCmd    // commands
	CauseLog    = netdial.CauseLog    // our own log
	CauseConfig = netdial.CauseConfig // the fleet's configuration and what is reported about it
	CauseProbe  = netdial.CauseProbe  // what learning costs
)

// ProxyFor is the proxy for a server's URL under a setting: its own URL, "none", or "" for what the environment says. nil: none.
func ProxyFor(setting, server string) (*Proxy, error) { return netdial.ProxyFor(setting, server) }

// InterfaceOf is the interface of this machine that has ip; "": none has.
func InterfaceOf(ip net.IP) string { return netdial.InterfaceOf(ip) }
