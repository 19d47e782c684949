package faults

import "time"

// CooldownMax is the longest time for which a server, an address or an interface that failed is tried last.
const CooldownMax = 10 * time.Minute

// Outcome is how an attempt or a session ended, as far as the next attempt cares.
type Outcome uint8

// The outcomes, as far as the next attempt cares.
const (
	OutcomeSilence     Outcome = iota // no answer: refused TCP, no route, no name, time-out, a path that died
	OutcomeClosed                     // the server ended it: FIN or RST
	OutcomeRefused                    // credentials, certificate, not authorised: only a person can help
	OutcomeNonsense                   // the server does not speak MQTT
	OutcomeMappingLost                // the mapping is gone while the server is fine: a fresh connection answered
	OutcomeStopped                    // by us
	OutcomePlanned                    // by us, to go on with another connection
	OutcomeLower                      // the server wants a lower keepalive: asked again at once
)

// Verdict is an outcome with what it took.
type Verdict struct {
	Kind      Outcome
	Loss      Loss          // how it was noticed
	Up        bool          // a session was up
	Idle      bool          // and idle: what stayed unanswered was a beat, no data
	Forgotten bool          // the path was fine before and after that beat: it forgot us in the silence before
	Lasted    time.Duration // how long it was up
	// Silence is for how long we had sent nothing when a session that was up ended, the beat that met its end apart; 0: something
	// else waited for its answer. Survived is the longest such silence after which a beat was answered.
	Silence, Survived time.Duration
}
