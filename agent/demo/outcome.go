package demo

import (
	"errors"
	"fmt"
	"time"
)

// Errors of Run that say that the demo ran, and showed something that must not be.
var (
	// ErrLost: a frame is missing or not as it was sent.
	ErrLost = errors.New("frames are lost")
	// ErrUnproven: after JudgedFrom or more, what the agent had proven was not close enough to the hidden limit.
	ErrUnproven = errors.New("the limit was not found")
)

const (
	// ShareGoal is the least part of the hidden limit that the agent must prove.
	ShareGoal = 0.9
	// JudgedFrom is the shortest run of which that is expected.
	JudgedFrom = 30 * time.Second
)

// Reached counts commands: how many were sent to a client, and how many of them arrived at it.
type Reached struct {
	Sent    int64 `json:"sent"`
	Arrived int64 `json:"arrived"`
}

// Lost is how many did not arrive.
func (r Reached) Lost() int64 { return r.Sent - r.Arrived }

// Outcome is what a run has shown. Times are in seconds; those that end in "after" count from the start of the demo.
type Outcome struct {
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"` // how long it ran

	LimitS      float64 `json:"limit_s"`       // after which the NAT forgets a silent connection
	ProvenS     float64 `json:"proven_s"`      // the longest silence that the agent has proven
	GoalAfterS  float64 `json:"goal_after_s"`  // when ShareGoal of the limit was proven; 0: never
	BeatS       float64 `json:"beat_s"`        // the longest beat that followed from it
	Beats       int64   `json:"beats"`         // pings of the agent
	ProbesBytes int64   `json:"probes_bytes"`  // what finding out has cost on the wire, headers included
	Dropped     int64   `json:"agent_dropped"` // connections that the agent has lost
	CutS        float64 `json:"cut_s"`         // how long the path was cut
	Restarts    int     `json:"nat_restarts"`

	Agent  Reached `json:"agent"`
	Plain  Reached `json:"plain"`
	Frames Result  `json:"frames"`
}

// Share is the proven part of the hidden limit.
func (o Outcome) Share() float64 {
	if o.LimitS <= 0 {
		return 0
	}
	return o.ProvenS / o.LimitS
}

// Err is nil when the run showed what it should; else it wraps ErrLost, ErrUnproven or both. lasted is how long the demo was
// meant to last, or has lasted when nothing was said.
func (o Outcome) Err(lasted time.Duration) error {
	var lost, unproven error
	if f := o.Frames; !f.Whole() {
		lost = fmt.Errorf("%w: %d of %d missing, %d altered; run again with --seed %d --keep and read the agent's log",
			ErrLost, f.Lost, f.Sent, f.Altered, o.Seed)
	}
	switch share := o.Share(); {
	case share > 1:
		unproven = fmt.Errorf("%w: the agent says that %.2f s are proven, and the NAT forgets after %.2f s; "+
			"run again with --seed %d --keep", ErrUnproven, o.ProvenS, o.LimitS, o.Seed)
	case share < ShareGoal && lasted >= JudgedFrom:
		unproven = fmt.Errorf("%w: %.2f s of %.2f s are proven, the goal is %.0f %%; "+
			"is the machine busy? run again with --seed %d", ErrUnproven, o.ProvenS, o.LimitS, 100*ShareGoal, o.Seed)
	}
	return errors.Join(lost, unproven)
}
