package agent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/linkbeat/linkbeat/config"
	"github.com/linkbeat/linkbeat/firmware-bridge/serialport"
)

// What two packages must know, and cannot share, is the same in both.

// Two devices on one port of a serial server are found by the check of a configuration, and by the bridge, in the same spellings.
func TestTheCheckKnowsTheSameServers(t *testing.T) {
	ports := []string{"tcp://h:4001", "tcp://H:4001", "tcp://h.:4001", "rfc2217://h:04001", "tcp://h:4002", "tcp://10.0.0.1:1",
		"tcp://[::1]:1", "tcp://[0:0:0:0:0:0:0:1]:01", "tcp://[fe80::1%25eth0]:1"}
	same := 0
	for i, a := range ports {
		for _, b := range ports[i+1:] {
			const document = "uplink: {servers: [{url: mqtts://h}]}\nserial: {a: {port: %q}, b: {port: %q}}\n"
			_, _, err := config.Parse(fmt.Appendf(nil, document, a, b), config.ParseOptions{})
			is := serialport.ServerKey(a) == serialport.ServerKey(b)
			if is {
				same++
			}
			if refused := err != nil && strings.Contains(err.Error(), "is the port of"); refused != is {
				t.Errorf("%s and %s: refused %v, the same port for the bridge %v (%v)", a, b, refused, is, err)
			}
		}
	}
	if same != 7 {
		t.Errorf("%d pairs are the same port", same)
	}
}
