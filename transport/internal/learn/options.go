package learn

import (
	"fmt"
	"net"
	"time"

	"github.com/linkbeat/linkbeat/transport/heartbeat"
)

// Options says how a link finds out how long it may stay silent (transport/heartbeat/README.md has the whole story). The zero
// value: it does not, and the beat is that of Env.Interval.
type Options struct {
	Mode   heartbeat.Mode // Off, Thrifty or Fast
	Min    time.Duration  // where every epoch of a path starts, and the floor; if zero, 20 s
	Max    time.Duration  // of the beat; if zero, 10 m; never above the CONNECT value
	Probes int            // probe sessions at once; if zero, 12 (Fast) or 1 (Thrifty)

	ClientID func(n int) string // of probe n, 1 and up; nil: "<ClientID>-p<n>"
	Topic    func(n int) string // that probe n subscribes to, and that the main link publishes to; required unless Off

	Budget heartbeat.BudgetOptions // bytes on the wire that probes may cost
	After  time.Duration           // how long a new epoch waits with its first probe; negative: auto
	Canary Canary
	Weak   time.Duration // how far client pings alone may raise the beat; zero: not above Env.Interval

	// Path names the path of a fresh connection to server (its name): what is learnt is kept under it. It is
	// called at each connect and must be quick. nil: the server alone.
	Path   func(server string, local net.Addr) string
	Memory Memory // nil: nothing survives a restart
}

// WithDefaults puts the defaults in place of what o does not say, for the link with a client id.
func (o Options) WithDefaults(clientID string) Options {
	if o.Min <= 0 {
		o.Min = heartbeat.DefaultMin
	}
	if o.Max <= 0 {
		o.Max = heartbeat.DefaultMax
	}
	o.Max = max(o.Max, o.Min)
	if o.ClientID == nil {
		o.ClientID = func(n int) string { return fmt.Sprintf("%s-p%d", clientID, n) }
	}
	return o
}

// Canary says how a loose path is watched for a limit that shrinks.
type Canary struct {
	Off   bool
	Pair  bool // a second session proves the main link's own flow, at each beat
	Every int  // each Nth beat a fresh session is tested; zero, with the others false: auto
}

// Memory keeps what was learnt. Its methods are called from the link's goroutines and must not block for long; what they
// cannot do they say elsewhere.
type Memory interface {
	Recall(path string) (heartbeat.Knowledge, bool)
	Remember(path string, k heartbeat.Knowledge)
	Budget() heartbeat.BudgetState // zero: none kept
	SaveBudget(heartbeat.BudgetState)
}

// Status is what is known of the path, and how the link beats because of it.
type Status struct {
	Interval time.Duration // in force
	Proven   time.Duration // silence that may serve the main link; 0: none
	Failing  time.Duration // shortest silence that was seen to fail; 0: none

	Remembered time.Duration // what an earlier epoch of this path had proven; a hint only; 0: none
	Phase      string        // "start", "learning", "settled", "resting" or "off"
	Evidence   string        // "inbound", "weak" or "none"
	Path       string
	Kind       string // "strict", "loose" or "unknown"
	Reason     string // of the last change of Interval
	Open       int    // probe sessions now
	Probes     int64  // gaps tested since New
	Sessions   int64  // probe sessions opened since New
	Canaries   int64  // canary tests since New
	Shrinks    int64  // times that the beat went back to Min because a proven silence failed, since New
	Budget     int64  // bytes that probes may still cost now
	Cost       int64  // bytes on the wire that probes have cost since New, headers and TCP acknowledgements included
}
