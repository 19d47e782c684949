package exec

import (
	"strings"
	"testing"
)

// What a program repeats of its arguments stands in no log: whole, as a word of a script, as a part of another one, or cut off.
func TestNoArgumentIsRepeated(t *testing.T) {
	const token = "hunter2-token-of-forty-bytes-0123456789"
	script := "curl -H 'Authorization: Bearer " + token + "' https://modem/"
	for name, c := range map[string]struct {
		argv []string
		says string
	}{
		"an argument":            {[]string{"p", token}, "denied for " + token},
		"a value":                {[]string{"p", "--token=" + token}, "denied for " + token + ", sorry"},
		"a word of a script":     {[]string{"sh", "-c", script}, "+ curl -H 'Authorization: Bearer " + token + "'"},
		"a part of another":      {[]string{"p", token[:8], token}, "denied for " + token},
		"cut off by the bound":   {[]string{"p", token}, strings.Repeat("x", complaintMax-20) + token[:20]},
		"cut off, of a script":   {[]string{"sh", "-c", script}, strings.Repeat("x", complaintMax-7) + token[:7]},
		"cut off, several of it": {[]string{"p", "hunter2-" + token, token}, strings.Repeat("x", complaintMax-15) + token[:15]},
	} {
		if got := (Program{Argv: c.argv}).withoutArguments(c.says, complaintMax); strings.Contains(got, "hunt") ||
			strings.Contains(got, "token") && !strings.Contains(got, "--token=") {
			t.Errorf("%s: %q", name, got)
		}
	}
	const harmless = "cannot open /dev/ttyUSB2: No such file"
	if got := (Program{Argv: []string{"p", "-x", "/dev/ttyUSB0"}}).withoutArguments(harmless, complaintMax); got != harmless {
		t.Errorf("%q", got)
	}
}
