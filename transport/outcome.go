package transport

import "time"

// outcome is how an attempt or a session ended, as far as the next attempt cares.
type outcome uint8

const (
	outcomeSilence  outcome = iota // nobody answers: refused TCP, no route, no name, time-out, a path that died
	outcomeClosed                  // the server ended it: FIN or RST
	outcomeRefused                 // credentials, certificate, not authorised: only a person can help
	outcomeNonsense                // the server does not speak MQTT
	outcomeLost                    // the mapping is gone while the server is fine: a fresh connection answered
	outcomeStopped                 // by us
	outcomePlanned                 // by us, to go on with another connection to the same server
	outcomeLower                   // the server wants a lower keepalive: asked again at once
)

// verdict is an outcome with what it took.
type verdict struct {
	kind      outcome
	loss      Loss          // how it was noticed
	up        bool          // a session was up
	idle      bool          // and idle: what stayed unanswered was a beat, no data
	forgotten bool          // the path was fine before and after that beat: it forgot us in the silence before
	lasted    time.Duration // how long it was up
}
