package transport

import (
	"errors"
	"net"

	"github.com/linkbeat/linkbeat/transport/backoff"
	"github.com/linkbeat/linkbeat/transport/brokerurl"
	"github.com/linkbeat/linkbeat/transport/diagnose"
	"github.com/linkbeat/linkbeat/transport/faults"
	"github.com/linkbeat/linkbeat/transport/internal/learn"
	"github.com/linkbeat/linkbeat/transport/internal/terms"
	"github.com/linkbeat/linkbeat/transport/netdial"
)

// What users of a Link name, and packages below it own.
type (
	// Loss is how the loss of a session was noticed; Status counts them by it.
	Loss = faults.Loss
	// URL is that of a server or a proxy; it shows no secret.
	URL = brokerurl.URL
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
	// Learning says how a link finds out how long it may stay silent. The zero value: it does not.
	Learning = learn.Options
	// Canary says how a loose path is watched for a limit that shrinks.
	Canary = learn.Canary
	// Memory keeps what was learnt.
	Memory = learn.Memory
	// ServerMemory keeps what servers do not take.
	ServerMemory = terms.Memory
	// HeartbeatStatus is what is known of the path, and how the link beats because of it.
	HeartbeatStatus = learn.Status
	// BudgetLevel says how much the monthly data budget still allows.
	BudgetLevel = learn.Level
	// EchoTopic is a topic that Trials.Deliverable asks about.
	EchoTopic = diagnose.EchoTopic
	// EchoResult is what is known of one.
	EchoResult = diagnose.Result
	// SizeQuestion is what Trials.Size asks.
	SizeQuestion = diagnose.SizeQuestion
	// SizeAnswer is what became of it.
	SizeAnswer = diagnose.SizeAnswer
)

// How much the monthly data budget still allows.
const (
	BudgetNormal    = learn.Normal    // as configured
	BudgetLow       = learn.Low       // no probes: what is proven stays, canaries go on
	BudgetExhausted = learn.Exhausted // no canaries either, and the beat goes to its longest, proven or not
)

// AskAgain is for how long a server is believed that it does not take something.
const AskAgain = terms.AskAgain

// What Trials.Deliverable says about a topic.
const (
	EchoOK      = diagnose.EchoOK      // it came back, or a server that is known to name its refusals has taken it
	EchoDenied  = diagnose.EchoDenied  // the server refused it in its own words, and a control says that those count
	EchoUnknown = diagnose.EchoUnknown // anything less
)

// ClassCommands is the class of the result of Deliverable that says whether the gateway hears what is published to it.
const ClassCommands = diagnose.ClassCommands

// The causes of messages.
const (
	CauseData   = netdial.CauseData   // frames and replies of devices
	CauseCmd    = netdial.CauseCmd    // commands
	CauseLog    = netdial.CauseLog    // our own log
	CauseConfig = netdial.CauseConfig // the fleet's configuration and what is reported about it
	CauseProbe  = netdial.CauseProbe  // what learning costs

	CauseRefused = netdial.CauseRefused // messages that nobody takes
)

// ProxyFor is the proxy for a server's URL under a setting: its own URL, "none", or "" for what the environment says. nil: none.
func ProxyFor(setting, server URL) (*Proxy, error) { return netdial.ProxyFor(setting, server) }

// URLGiven is a URL as a person gives it at a shell: see brokerurl.Given.
func URLGiven(text string, tls bool) URL { return brokerurl.Given(text, tls) }

// NameOfPath is the name of a path, which ends with a server's URL, with that server's name instead: see brokerurl.Rename.
func NameOfPath(name string) string { return brokerurl.Rename(name) }

// InterfaceOf is the interface of this machine that has ip; "": none has.
func InterfaceOf(ip net.IP) string { return netdial.InterfaceOf(ip) }

// Errors that callers branch on.
var (
	// ErrTooLarge is returned at once for a message that exceeds MaxPacket; the link stays up.
	ErrTooLarge = errors.New("message is too large")
	// ErrLost is the error of an Ack whose session was lost before the server acknowledged.
	ErrLost = errors.New("session lost before the acknowledgement")
	// ErrInvalid is returned at once for a message that no server may be sent: its topic, its QoS.
	ErrInvalid = errors.New("message cannot be published")
	// ErrClosed is wrapped beside ErrLost when the server closed the session, and it was neither silence nor the path.
	ErrClosed = errors.New("server closed the session")
	// ErrUnacknowledged is wrapped beside ErrLost when the server was alive and acknowledged no publish. Alone it is the error of
	// a message that nobody sends again.
	ErrUnacknowledged = errors.New("server does not acknowledge")
	// ErrPending is the error of an Ack that is not done yet.
	ErrPending = errors.New("not acknowledged yet")
	// ErrStopped is returned after Run has returned, or is about to.
	ErrStopped = errors.New("link is stopped")
)
