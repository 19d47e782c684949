package wire

import (
	"strings"
	"testing"
)

func TestCommandFaults(t *testing.T) {
	for name, c := range map[string]struct{ payload, id, want string }{
		"not JSON":        {"{", "", "not a command"},
		"empty":           {"", "", "not a command"},
		"array":           {"[]", "", "not a command"},
		"no id":           {`{"expires":1,"text":"x"}`, "", "no id"},
		"no bytes":        {`{"id":"a","expires":1}`, "a", "exactly one"},
		"two encodings":   {`{"id":"a","text":"x","hex":"00"}`, "a", "exactly one"},
		"odd hex":         {`{"id":"a","hex":"0"}`, "a", "hex"},
		"wrong type":      {`{"id":"a","text":7}`, "a", "not a command"},
		"endless id":      {`{"id":"` + strings.Repeat("x", 200) + `","text":"x"}`, "", "at most 128"},
		"expires as text": {`{"id":"a","expires":"soon","text":"x"}`, "a", "not a command"},
	} {
		got, err := ParseCommand([]byte(c.payload))
		if err == nil || !strings.Contains(err.Error(), c.want) || got.ID != c.id {
			t.Errorf("%s: id %q, %v", name, got.ID, err)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add([]byte(`{"id":"a","expires":1,"hex":"00ff"}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		c, err := ParseCommand(p)
		if len(c.ID) > MaxCommandID {
			t.Fatal("id without bound")
		}
		if err == nil {
			if _, err := c.Bytes(); err != nil {
				t.Fatalf("accepted without bytes: %s", p)
			}
		}
	})
}
