package strictjson

import (
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// message has all that a message of ours can have.
type message struct {
	ID      string `json:"id"`
	Expires int64  `json:"expires"`
	Seq     uint64 `json:"seq,omitempty"`
	inner
	Values map[string]json.RawMessage `json:"values,omitempty"`
	Data   []byte                     `json:"base64,omitempty"`
	On     *bool                      `json:"on,omitempty"`
	Parts  []part                     `json:"parts,omitempty"`
	Any    any                        `json:"any,omitempty"`
}

type inner struct {
	Text *string `json:"text,omitempty"`
}

type part struct {
	Name string `json:"name"`
}

func TestWhatTwoReadersUnderstandDifferentlyIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"a doubled key":                 {`{"id":"a","id":"b"}`, `key "id" stands twice`},
		"one written in escapes":        {`{"id":"a","\u0069d":"b"}`, `key "id" stands twice`},
		"one of an embedded struct":     {`{"text":"a","text":"a"}`, `key "text" stands twice`},
		"one that nobody knows":         {`{"x":1,"x":1}`, `key "x" stands twice`},
		"one deep in what nobody knows": {`{"x":[{"y":{"z":1,"z":2}}]}`, `key "z" stands twice`},
		"one of a value":                {`{"values":{"a":1,"a":2}}`, `key "a" stands twice`},
		"an empty one":                  {`{"":1,"":2}`, `key "" stands twice`},
		"keys that differ in case":      {`{"id":"a","ID":"b"}`, `keys "id" and "ID" differ only in case`},
		"the other way":                 {`{"Id":"a","id":"b"}`, `key "Id" must be written "id"`},
		"unknown ones that do":          {`{"x":"a","X":"b"}`, `keys "x" and "X" differ only in case`},
		"values that do":                {`{"values":{"a":1,"A":2}}`, `keys "a" and "A" differ only in case`},
		"a key in another case":         {`{"EXPIRES":1}`, `key "EXPIRES" must be written "expires"`},
		"a key with the long s":         {`{"expire\u017f":1}`, `must be written "expires"`},
		"a Kelvin sign":                 {`{"k":1,"` + "\u212a" + `":1}`, "differ only in case"},
		"a key of an element":           {`{"parts":[{"name":"a"},{"Name":"b"}]}`, `key "Name" must be written "name"`},
		"a lone high surrogate":         {`{"id":"\ud800"}`, "half of a surrogate pair"},
		"a lone low surrogate":          {`{"id":"\udc00x"}`, "half of a surrogate pair"},
		"two high ones":                 {`{"id":"\ud800\ud800"}`, "half of a surrogate pair"},
		"a high one and a letter":       {`{"id":"\ud800\u0061"}`, "half of a surrogate pair"},
		"one in a key":                  {`{"a\uDFFFb":1}`, "half of a surrogate pair"},
		"one in what nobody knows":      {`{"x":["\ud83d"]}`, "half of a surrogate pair"},
		"bytes that are no text":        {"{\"text\":\"\xff\"}", "not UTF-8"},
		"a surrogate as UTF-8":          {"{\"text\":\"\xed\xa0\x80\"}", "not UTF-8"},
		"an overlong slash":             {"{\"text\":\"\xc0\xaf\"}", "not UTF-8"},
		"a byte order mark":             {"\ufeff{}", "not one JSON value"},
		"data behind it":                {`{"id":"a"} {"id":"b"}`, "not one JSON value"},
		"a bracket behind it":           {`{"id":"a"}}`, "not one JSON value"},
		"a zero byte behind it":         {"{}\x00", "not one JSON value"},
		"nothing":                       {"", "not one JSON value"},
		"half of it":                    {`{"id":`, "not one JSON value"},
		"a trailing comma":              {`{"id":"a",}`, "not one JSON value"},
		"a raw newline in a string":     {"{\"id\":\"a\n\"}", "not one JSON value"},
		"objects in each other": {strings.Repeat(`{"x":`, MaxDepth+1) + "1" + strings.Repeat("}", MaxDepth+1),
			"deeper than 16"},
		"arrays in each other":    {strings.Repeat("[", 5000) + strings.Repeat("]", 5000), "deeper than 16"},
		"too many keys":           {manyKeys(MaxKeys + 1), "too many keys"},
		"too many bytes":          {`"` + strings.Repeat("x", MaxBytes) + `"`, "at most 1048576"},
		"a number beyond float64": {`{"x":1e400}`, "number 1e400 is out of range"},
		"one as a value":          {`{"values":{"a":-1e999}}`, "number -1e999 is out of range"},
		"an integer beyond 64 bits": {`{"expires":9223372036854775808}`,
			`"expires" must be of type int64, and is number 9223372036854775808`},
		"a fraction":                      {`{"expires":1.5}`, `"expires" must be of type int64, and is number 1.5`},
		"a negative number of a message":  {`{"seq":-1}`, `"seq" must be of type uint64, and is number -1`},
		"a text for a number":             {`{"expires":"soon"}`, `"expires" must be of type int64, and is string`},
		"a number for a text":             {`{"text":7}`, `"text" must be of type string, and is number`},
		"an array for an object":          {`[]`, "must be of type object, and is array"},
		"an endless number":               {`{"expires":` + strings.Repeat("9", 5000) + `}`, "number 9999999999"},
		"base64 that is none":             {`{"base64":"*"}`, "illegal base64"},
		"a word for true":                 {`{"on":"yes"}`, `"on" must be of type bool, and is string`},
		"a text in place of values":       {`{"values":"x"}`, `"values" must be of type object`},
		"the case of what stands in text": {`{"parts":{"name":"a"}}`, `"parts" must be of type array`},
	} {
		t.Run(name, func(t *testing.T) {
			var m message
			err := Unmarshal([]byte(c.in), &m)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %s", err, c.want)
			}
			if text := err.Error(); len(text) > 200 || !utf8.ValidString(text) || strings.ContainsAny(text, "\x1b\n\x00") {
				t.Errorf("no sentence for a person: %q", text)
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"k` + strings.Repeat("a", i%7) + string(rune('b'+i%20)) + strings.Repeat("z", i/140) + `":1`)
	}
	return b.String() + "}"
}

func TestWhatIsOneThingIsRead(t *testing.T) {
	for name, in := range map[string]string{
		"all of it": `{"id":"a","expires":1,"seq":2,"text":"x","values":{"a":1.5,"b":"t","c":true},` +
			`"base64":"AA==","on":true,"parts":[{"name":"n"}]}`,
		"white space":               " \r\n\t{ \"id\" :\t\"a\" , \"parts\" : [ { } , { \"name\" : \"b\" } ] } \n",
		"keys that nobody knows":    `{"id":"a","Later":{"x":[1,[2,{"y":null}]]},"x-Trace":"1"}`,
		"the same key elsewhere":    `{"id":"a","x":{"id":"b"},"y":[{"id":1},{"id":2}]}`,
		"a pair of surrogates":      `{"id":"\ud83d\ude00","text":"\uD83D\uDE00 \\ud800 \\\\ \" \u0000"}`,
		"the replacement character": `{"id":"\ufffd"}`,
		"null":                      `{"id":"a","expires":null,"text":null}`,
		"nothing at all":            `null`,
		"the deepest":               `{"x":` + strings.Repeat("[", MaxDepth-1) + strings.Repeat("]", MaxDepth-1) + `}`,
		"the most keys":             manyKeys(MaxKeys),
		"a small number":            `{"x":1e-400,"values":{"y":-0,"z":18446744073709551615}}`,
	} {
		t.Run(name, func(t *testing.T) {
			var strict, lax message
			if err := Unmarshal([]byte(in), &strict); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(in), &lax); err != nil || !reflect.DeepEqual(strict, lax) {
				t.Errorf("%+v, encoding/json says %+v, %v", strict, lax, err)
			}
		})
	}
}

// model is the rule once more, in another way: tokens of encoding/json, every pair of keys compared, and the text searched for
// surrogates by an expression.
func model(p []byte) bool {
	if len(p) > MaxBytes || !utf8.Valid(p) || !json.Valid(p) {
		return false
	}
	escape := regexp.MustCompile(`\\(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)`)
	for _, m := range escape.FindAllSubmatch(p, -1) {
		if len(m[1]) == 5 {
			return false
		}
	}
	dec := json.NewDecoder(bytes.NewReader(p))
	dec.UseNumber()
	type level struct {
		object, value bool
		keys          []string
	}
	var open []level
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return true
		} else if err != nil {
			return false
		}
		top := len(open) - 1
		if text, ok := token.(string); ok && top >= 0 && open[top].object && !open[top].value {
			for _, other := range open[top].keys {
				if strings.EqualFold(other, text) {
					return false
				}
			}
			if top == 0 {
				for _, known := range []string{"id", "expires", "seq", "text", "values", "base64", "on", "parts", "any"} {
					if strings.EqualFold(text, known) && text != known {
						return false
					}
				}
			}
			open[top].keys, open[top].value = append(open[top].keys, text), true
			if len(open[top].keys) > MaxKeys {
				return false
			}
			continue
		}
		if top >= 0 {
			open[top].value = false
		}
		switch token := token.(type) {
		case json.Delim:
			if token == '}' || token == ']' {
				open = open[:top]
				continue
			}
			if open = append(open, level{object: token == '{'}); len(open) > MaxDepth {
				return false
			}
		case json.Number:
			if _, err := token.Float64(); err != nil {
				return false
			}
		}
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, seed := range []string{`{"id":"a","expires":1,"text":"x","values":{"a":1.5}}`, `{"id":"a","ID":"b"}`,
		`{"id":"\ud800"}`, `[[[{"x":1e999}]]]`,
		`{"parts":[{"name":"a"},{"Name":"b"}],"any":{"x":[]}}`, `{"base64":"AA==","on":null,"seq":-1}`,
		"{\"\u017f\":1,\"s\":2}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, p []byte) {
		var strict, lax message
		err, laxErr := Unmarshal(p, &strict), json.Unmarshal(p, &lax)
		if err != nil {
			if len(err.Error()) > 300 {
				t.Fatalf("%d bytes of error", len(err.Error()))
			}
			if model(p) && laxErr == nil && !bytes.Contains(bytes.ToLower(p),
				[]byte("name")) { // of parts, which the model does not know
				t.Fatalf("refused: %v", err)
			}
			return
		}
		if !model(p) {
			t.Fatalf("accepted: %q", p)
		}
		if laxErr != nil || !reflect.DeepEqual(strict, lax) {
			t.Fatalf("%+v, encoding/json says %+v, %v", strict, lax, laxErr)
		}
	})
}
