package faults

import (
	"fmt"
	"strings"
)

// Codes of CONNACK that callers branch on.
const (
	CodeIdentifier  = 2 // identifier rejected
	CodeUnavailable = 3 // server unavailable
)

// connackReasons are the return codes of CONNACK, table 3.1 of MQTT 3.1.1.
var connackReasons = map[byte]struct {
	kind Outcome
	msg  string
}{
	1: {OutcomeRefused, "server refused the connection: it does not speak MQTT 3.1.1"},
	2: {OutcomeRefused, "server refused the connection: it does not accept the client id %q"},
	3: {OutcomeSilence, "server refused the connection: it is unavailable"},
	4: {OutcomeRefused, "server refused the connection: wrong user name or password"},
	5: {OutcomeRefused,
		"server refused the connection: not authorised; check user name, password and access rules of client id %q"},
}

// RefusedBy is the fault, an error of type *Fault, of a CONNACK with a code from 1 to 5.
func RefusedBy(code byte, clientID string) error {
	r := connackReasons[code]
	msg := r.msg
	if strings.Contains(msg, "%q") {
		msg = fmt.Sprintf(msg, clientID)
	}
	return &Fault{Kind: r.kind, Msg: msg}
}
