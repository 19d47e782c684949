package config

import "testing"

func TestFaultsInOneSentence(t *testing.T) {
	one := Fault{Path: "uplink", Line: 3, Message: "yaml: line 3:\n  mapping values\n\tare not allowed"}
	for name, c := range map[string]struct {
		faults Faults
		want   string
	}{
		"none":               {nil, ""},
		"one of three lines": {Faults{one}, "line 3: uplink: yaml: line 3: mapping values are not allowed"},
		"three": {Faults{one, one, one},
			"line 3: uplink: yaml: line 3: mapping values are not allowed (and 2 more)"},
	} {
		if got := c.faults.Sentence(); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
