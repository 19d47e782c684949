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
		"a doubled id":    {`{"id":"a","id":"b","expires":1,"text":"x"}`, "a", `key "id" stands twice`},
		"doubled bytes":   {`{"id":"a","expires":1,"text":"x","text":"y"}`, "a", `key "text" stands twice`},
		"a doubled value": {`{"id":"a","expires":1,"values":{"on":true,"on":false}}`, "a", `key "on" stands twice`},
		"an ID":           {`{"ID":"a","expires":1,"text":"x"}`, "a", `key "ID" must be written "id"`},
		"id and ID":       {`{"id":"a","ID":"b","expires":1,"text":"x"}`, "a", `"id" and "ID" differ only in case`},
		"half a letter":   {`{"id":"a\ud800","expires":1,"text":"x"}`, "a\uFFFD", "half of a surrogate pair"},
		"half in a text":  {`{"id":"a","expires":1,"text":"\udfff"}`, "a", "half of a surrogate pair"},
		"bytes as text":   {"{\"id\":\"a\",\"expires\":1,\"text\":\"\xfe\"}", "a", "not UTF-8: send bytes as hex or base64"},
		"data behind it":  {`{"id":"a","expires":1,"text":"x"}{}`, "a", "not one JSON value"},
		"too deep":        {`{"id":"a","x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "a", "deeper than 16"},
		"a huge expires": {`{"id":"a","expires":99999999999999999999,"text":"x"}`, "a",
			`"expires" must be of type int64`},
		"expires as text": {`{"id":"a","expires":"soon","text":"x"}`, "a", "not a command"},
	} {
		got, err := ParseCommand([]byte(c.payload))
		if err == nil || !strings.Contains(err.Error(), c.want) || got.ID != c.id {
			t.Errorf("%s: id %q, %v", name, got.ID, err)
		}
	}
}

// A key that this version does not know may be one of a later one.
func TestKeysOfLaterVersionsArePassedOver(t *testing.T) {
	got, err := ParseCommand([]byte(`{"id":"a","expires":1,"text":"\ud83d\ude00","after":{"x":[{"id":1},{"id":2}]},"X":null}`))
	if err != nil || got.ID != "a" || *got.Text != "😀" {
		t.Errorf("%+v, %v", got, err)
	}
	m, err := ParseConsoleDown([]byte(`{"id":"a","seq":1,"op":"keep","later":true}`))
	if err != nil || m.Op != ConsoleKeep {
		t.Errorf("%+v, %v", m, err)
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add([]byte(`{"id":"a","expires":1,"hex":"00ff"}`))
	f.Fuzz(func(t *testing.T, p []byte) {
		c, err := ParseCommand(p)
		if len(c.ID) > MaxCommandID {
			t.Fatal("id without bound")
		}
		if err == nil && c.Values == nil {
			if _, err := c.Bytes(); err != nil {
				t.Fatalf("accepted without bytes: %s", p)
			}
		}
	})
}
