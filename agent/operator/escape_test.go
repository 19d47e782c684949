package operator

import "testing"

func TestEscape(t *testing.T) {
	for name, c := range map[string]struct {
		in    []string // as it is read
		out   string
		leave bool
	}{
		"plain":                {[]string{"AT\r"}, "AT\r", false},
		"leave at once":        {[]string{"~."}, "", true},
		"leave after a line":   {[]string{"AT\r", "~", "."}, "AT\r", true},
		"not inside a line":    {[]string{"a~.b"}, "a~.b", false},
		"a tilde for a device": {[]string{"~~."}, "~.", false},
		"another key":          {[]string{"~", "x~."}, "~x~.", false},
		"tilde and enter":      {[]string{"~\r", "~."}, "~\r", true},
	} {
		e := escape{lineBegins: true}
		var got string
		left := false
		for _, in := range c.in {
			out, l := e.filter([]byte(in))
			got, left = got+string(out), left || l
		}
		if got != c.out || left != c.leave {
			t.Errorf("%s: %q, left %v", name, got, left)
		}
	}
}
