package diag

import (
	"slices"
	"time"
)

// Status is how a step ended.
type Status string

// A warning is worth a look and no reason to be offline.
const (
	OK   Status = "ok"
	Warn Status = "warn"
	Fail Status = "FAIL"
)

// Step is one step with what it found.
type Step struct {
	Name    string        `json:"step"`
	Topics  []Topic       `json:"topics,omitempty"` // that it is about
	Status  Status        `json:"status"`
	TookMS  float64       `json:"took_ms"`
	Text    string        `json:"text"`
	Fault   string        `json:"fault,omitempty"`   // in one word
	Hint    string        `json:"hint,omitempty"`    // what to do next
	Verdict string        `json:"verdict,omitempty"` // of topics: ok, denied or unknown
	Certs   []Certificate `json:"certificates,omitempty"`
}

// Topic is one that the gateway publishes to.
type Topic struct {
	Class string `json:"class"` // data, reply, info …
	Topic string `json:"topic"`
}

// Certificate is one that was shown in TLS.
type Certificate struct {
	Ours     bool    `json:"ours"`
	Subject  string  `json:"subject"`
	Issuer   string  `json:"issuer"`
	NotAfter int64   `json:"not_after"` // Unix ms
	DaysLeft float64 `json:"days_left"`
}

// Server is what was found on the way to one.
type Server struct {
	URL   string `json:"server"`
	Steps []Step `json:"steps"`
}

// Report is the whole. The zero value says that nothing was looked at.
type Report struct {
	ID      string   `json:"id"`
	Version string   `json:"version"`
	At      int64    `json:"at"`              // Unix ms
	Agent   []Step   `json:"agent,omitempty"` // that runs here, and its serial devices
	Machine []Step   `json:"machine,omitempty"`
	Servers []Server `json:"servers"`
}

// Fine is true when no step failed.
func (r Report) Fine() bool {
	return fine(r.Agent) && fine(r.Machine) && !slices.ContainsFunc(r.Servers, func(s Server) bool { return !fine(s.Steps) })
}

// ACL is what is known of each topic.
func (s Server) ACL() map[string]string {
	acl := map[string]string{}
	for _, step := range s.Steps {
		for _, t := range step.Topics {
			acl[t.Topic] = step.Verdict
		}
	}
	return acl
}

func fine(steps []Step) bool {
	return !slices.ContainsFunc(steps, func(s Step) bool { return s.Status == Fail })
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
