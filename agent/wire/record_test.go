package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/linkbeat/linkbeat/agent/printable/printabletest"
)

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

// TestEpochsAndReasonsAreWords: they are shown as they stand, so anything else is malformed, and the error itself is printable.
func TestEpochsAndReasonsAreWords(t *testing.T) {
	for _, c := range append(printabletest.Text(), printabletest.Control{Name: "a space", Text: " "},
		printabletest.Control{Name: "too long", Text: strings.Repeat("a", 40)}, printabletest.Control{Name: "not ASCII",
			Text: "é"}) {
		bad, _ := json.Marshal("full" + c.Text)
		for _, doc := range []string{
			`{"seq":1,"ts":0,"epoch":` + string(bad) + `,"text":"x"}`,
			`[{"seq":1,"ts":0,"epoch":"3f2a9c1e","text":"x"},` +
				`{"seq":2,"ts":0,"epoch":"3f2a9c1e","gap":{"from":1,"to":1,"reason":` + string(bad) + `}}]`,
			`{"seq":1,"ts":0,"epoch":"3f2a9c1e","gap":{"from":1,"to":1,"reason":"full","epoch":` + string(bad) + `}}`,
			`[{"n":"gap","seq":1,"epoch":"3f2a9c1e","gap":{"from":1,"to":1,"reason":` + string(bad) + `}}]`,
		} {
			records, err := ParsePayload([]byte(doc))
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%s: %v, %v", c.Name, records, err)
			}
			if passed := printabletest.Passed([]byte(err.Error())); passed != nil {
				t.Errorf("%s: %v pass: %q", c.Name, passed, err)
			}
		}
		if _, err := ParseState([]byte(`{"online":true,"epoch":` + string(bad) + `}`)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: state: %v", c.Name, err)
		}
	}
	for _, reason := range []string{"full", "age", "corrupt", "restart", "poison", "of_a_later-version2"} {
		if _, err := ParsePayload([]byte(`{"seq":1,"ts":0,"epoch":"3f2a9c1e","gap":{"from":1,"to":0,"reason":"` + reason +
			`"}}`)); err != nil {
			t.Errorf("%s: %v", reason, err)
		}
	}
}
