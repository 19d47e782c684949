package transport

import (
	"fmt"
	"strings"
)

const (
	codeIdentifier  = 2 // identifier rejected
	codeUnavailable = 3
)

// connackReasons are the return codes of CONNACK, table 3.1 of MQTT 3.1.1.
var connackReasons = map[byte]struct {
	kind outcome
	msg  string
}{
	1: {outcomeRefused, "server refused the connection: it does not speak MQTT 3.1.1"},
	2: {outcomeRefused, "server refused the connection: it does not accept the client id %q"},
	3: {outcomeSilence, "server refused the connection: it is unavailable"},
	4: {outcomeRefused, "server refused the connection: wrong user name or password"},
	5: {outcomeRefused, "server refused the connection: not authorised; check user name, password and access rules of client id %q"},
}

func refusedBy(code byte, clientID string) error {
	r := connackReasons[code]
	msg := r.msg
	if strings.Contains(msg, "%q") {
		msg = fmt.Sprintf(msg, clientID)
	}
	return &fault{kind: r.kind, msg: msg}
}
