package wire

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTopicsTakeApartWhatTheyMade(t *testing.T) {
	topics := DefaultTopics().For("gw-0017")
	topic := Expand(topics.Data, "name", "meter")
	if topic != "lb/gw-0017/up/data/meter" {
		t.Fatalf("data topic %q", topic)
	}
	vars, ok := Match(DefaultTopics().Data, topic)
	if !ok || vars["id"] != "gw-0017" || vars["name"] != "meter" {
		t.Fatalf("match: %v %v", vars, ok)
	}
	if f := Filter(topics.Cmd) + WriteSuffix; f != "lb/gw-0017/dn/cmd/+/write" {
		t.Fatalf("filter %q", f)
	}
}

func TestMatchRefuses(t *testing.T) {
	for name, c := range map[string][2]string{
		"shorter":          {"a/{id}/b", "a/x"},
		"other literal":    {"a/{id}/b", "a/x/c"},
		"empty value":      {"a/p-{id}/b", "a/p-/b"},
		"differs from one": {"{id}/{id}", "x/y"},
	} {
		if vars, ok := Match(c[0], c[1]); ok {
			t.Errorf("%s: matched %v", name, vars)
		}
	}
	if vars, ok := Match("a/p-{id}-s/b", "a/p-7-s/b"); !ok || vars["id"] != "7" {
		t.Errorf("prefix and suffix: %v %v", vars, ok)
	}
}

func TestEveryBodyComesBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		e := rapid.SampledFrom([]Encoding{Text, Hex, Base64}).Draw(t, "encoding")
		body, replaced := NewBody(p, e)
		r := Record{Seq: 1, TS: 2, Epoch: "3f2a9c1e", Body: body}
		single := r.Append(nil)
		for _, payload := range [][]byte{single, AppendBatch(nil, single)} {
			back, err := ParseRecords(payload)
			if err != nil || len(back) != 1 {
				t.Fatalf("%s: %v", payload, err)
			}
			q, err := back[0].Bytes()
			if err != nil || !bytes.Equal(p, q) {
				t.Fatalf("%q became %q (%v)", p, q, err)
			}
		}
		if replaced && (body.Text == nil || !strings.Contains(*body.Text, "\uFFFD")) {
			t.Fatal("replaced text without U+FFFD")
		}
	})
}

func TestRecordCostsNoEscapes(t *testing.T) {
	body, _ := NewBody([]byte("a<b>&c"), Text)
	got := string(Record{Seq: 1234, TS: 1795208591123, Epoch: "3f2a9c1e", Body: body}.Append(nil))
	want := `{"seq":1234,"ts":1795208591123,"epoch":"3f2a9c1e","text":"a<b>&c"}`
	if got != want {
		t.Fatalf("%s", got)
	}
}

func TestValuesAreNeverNull(t *testing.T) {
	for payload, good := range map[string]bool{
		`{"epoch":"e","seq":1,"values":{"a":1,"b":"x","c":true}}`: true,
		`{"epoch":"e","seq":1,"bad":{"a":"timeout"}}`:             true,
		`{"epoch":"e","seq":1,"values":{"a":null}}`:               false,
		`{"epoch":"e","seq":1,"values":{"a":[1]}}`:                false,
		`{"epoch":"e","seq":1,"values":{}}`:                       false,
	} {
		if _, err := ParseRecords([]byte(payload)); (err == nil) != good {
			t.Errorf("%s: %v", payload, err)
		}
	}
}

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

func TestGunzipIsBounded(t *testing.T) {
	z := Gzip(make([]byte, 1<<20))
	if _, err := Gunzip(z, 1000); err == nil {
		t.Fatal("a bomb went through")
	}
	if p, err := Gunzip(z, 1<<20); err != nil || len(p) != 1<<20 {
		t.Fatal(err)
	}
}

func FuzzParseRecords(f *testing.F) {
	f.Add([]byte(`{"seq":1,"ts":2,"epoch":"3f2a9c1e","text":"x"}`))
	f.Add([]byte(`{"seq":1,"ts":2,"epoch":"3f2a9c1e","values":{"u":230.4},"bad":{"i":"timeout"}}`))
	f.Add([]byte(`[{"seq":1,"ts":2,"epoch":"e","gap":{"from":1,"to":2,"reason":"full"}}]`))
	f.Fuzz(func(t *testing.T, p []byte) {
		records, err := ParseRecords(p)
		if err != nil {
			return
		}
		for _, r := range records {
			if r.Gap == nil && r.Measured.IsZero() {
				if _, err := r.Bytes(); err != nil {
					t.Fatalf("accepted without bytes: %s", p)
				}
			}
			if _, err := ParseRecords(r.Append(nil)); err != nil {
				t.Fatalf("does not come back: %v", err)
			}
		}
	})
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
