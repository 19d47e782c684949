package heartbeat

import "time"

// Mode is how eagerly a Search learns.
type Mode int

const (
	Off     Mode = iota // never probes
	Thrifty             // one growing probe: cheapest
	Fast                // many probes side by side
)

// String returns "off", "thrifty" or "fast".
func (m Mode) String() string { return [...]string{"off", "thrifty", "fast"}[m] }

// Kind is what a path does to the client's packet after it forgot the mapping.
type Kind int

const (
	Unknown Kind = iota // nothing was seen yet
	Strict              // nothing, or an RST: the beat itself notices
	Loose               // it makes a new mapping: pings are answered though nothing could have come in
)

// String returns "unknown", "strict" or "loose".
func (k Kind) String() string { return [...]string{"unknown", "strict", "loose"}[k] }

// Knowledge is what survives of a search: kept per path, and handed to the next epoch as a hint, never as a proof.
type Knowledge struct {
	Proven  time.Duration // longest silence proven inbound; 0: none
	Failing time.Duration // shortest silence that failed repeatedly; 0: none
	Kind    Kind
	At      time.Time // of the last proof; 0: nothing is known
}

// Known reports whether there is a hint in k.
func (k Knowledge) Known() bool { return k.Proven > 0 }
