package wire

import "fmt"

// State is the retained birth and last will under up/state.
type State struct {
	Online  bool   `json:"online"`
	Session int64  `json:"session"` // connections of this agent so far
	Epoch   string `json:"epoch"`   // of the spool, as in the records
	Since   int64  `json:"since"`   // Unix ms of the connection
	Version string `json:"version"`
	Server  string `json:"server"` // the name of its URL: without a login and a query
}

// Append adds the state's JSON to dst.
func (s State) Append(dst []byte) []byte { return appendJSON(dst, s) }

// ParseState reads a birth or a will.
func ParseState(p []byte) (State, error) {
	var s State
	if err := unmarshal(p, &s); err != nil {
		return State{}, fmt.Errorf("state: %w", err)
	}
	if s.Epoch != "" {
		if err := checkWord("epoch", s.Epoch); err != nil {
			return State{}, fmt.Errorf("state: %w", err)
		}
	}
	return s, nil
}

// Port is one serial device in [Info].
type Port struct {
	Port  string `json:"port"`
	State string `json:"state"` // open, absent, error, or disabled by a fault of its configuration
	Why   string `json:"why,omitempty"`
}

// Info is the retained description of a gateway under up/info: what changes, at most once a minute.
type Info struct {
	IntervalS float64         `json:"interval_s"` // the beat
	ProvenS   float64         `json:"proven_s"`   // the silence that the path is known to survive; 0: not known
	Path      string          `json:"path,omitempty"`
	Ports     map[string]Port `json:"ports"`

	Facts map[string]string `json:"facts,omitempty"` // by name: what the commands of device.facts printed
}

// Append adds the info's JSON to dst.
func (i Info) Append(dst []byte) []byte { return appendJSON(dst, i) }

// ParseInfo reads an info.
func ParseInfo(p []byte) (Info, error) {
	var i Info
	if err := unmarshal(p, &i); err != nil {
		return Info{}, fmt.Errorf("info: %w", err)
	}
	return i, nil
}
