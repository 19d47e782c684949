package printable_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/linkbeat/linkbeat/agent/printable"
	"github.com/linkbeat/linkbeat/agent/printable/printabletest"
)

func TestLine(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"escape sequence", "a\x1b[2Jb", `a\x1b[2Jb`},
		{"bell, line end, DEL", "\a\r\n\x7f", `\x07\x0d\x0a\x7f`},
		{"tab", "a\tb", `a\x09b`},
		{"C1, which is CSI too", "\u009b31m", `\u009b31m`},
		{"C1 as a byte", "\x9b31m", `\x9b31m`},
		{"bidi", "pass\u202eword\u2066", `pass\u202eword\u2066`},
		{"separators of lines", "a\u2028b\u2029", `a\u2028b\u2029`},
		{"what hides", "a\u200bb\ufeff\U000e0041", `a\u200bb\ufeff\U000e0041`},
		{"letters that are drawn as nothing", "a\u3164b\u034f", `a\u3164b\u034f`},
		{"a joiner of nothing", "a\u200db", `a\u200db`},
		{"variants of nothing, and twice", "\ufe0fa\ufe0f\ufe0f", `\ufe0f` + "a\ufe0f" + `\ufe0f`},
		{"half a character", "é\xc3", `é\xc3`},
		{"a surrogate", "\xed\xa0\x80", `\xed\xa0\x80`},
		{"the replacement character is one", "\ufffd", "\ufffd"},
		{"a backslash", `\x1b`, `\x1b`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := printable.Line(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			if got := printable.Line(tt.want); got != tt.want {
				t.Errorf("a second time: %q", got)
			}
		})
	}
}

func TestWhatPeopleReadPassesAsItIs(t *testing.T) {
	for _, s := range printabletest.Clean() {
		for name, got := range map[string]string{"Line": printable.Line(s), "Text": printable.Text(s), "Short": printable.Short(s,
			100),
			"JSON": string(printable.AppendJSON(nil, []byte(s), 0))} {
			if got != s {
				t.Errorf("%s of %q is %q", name, s, got)
			}
		}
		if n := testing.AllocsPerRun(100, func() { _ = printable.Line(s) }); n != 0 {
			t.Errorf("%q costs %v allocations", s, n)
		}
	}
}

// TestNoControlPasses: every way out of this package, every character.
func TestNoControlPasses(t *testing.T) {
	type inner struct {
		List []string
		Map  map[string]error
	}
	for _, c := range printabletest.Controls() {
		s := printabletest.Marked(c)
		var text, rows, doc, log strings.Builder
		w := printable.NewWriter(&text)
		for i := range len(s) { // split within a character
			if _, err := w.Write([]byte{s[i]}); err != nil {
				t.Fatal(err)
			}
		}
		_ = w.Flush()
		table := printable.NewTable(&rows)
		table.Row(s, s)
		_ = table.Flush()
		_ = printable.Encode(&doc, map[string]string{s: s}, true)
		line, _ := json.Marshal(map[string]json.RawMessage{"raw": json.RawMessage(`"` + strings.Map(printing, s) + `"`)})
		_, _ = printable.NewLogWriter(&log, 0).Write(line)
		data := struct {
			S string
			P *inner
		}{s, &inner{List: []string{s}, Map: map[string]error{s: nil}}}
		printable.Deep(&data, 1000)
		for name, out := range map[string]string{
			"Line": printable.Line(s), "Short": printable.Short(s, 100), "Words": printable.Words(s, 100),
			"Bad":     printable.Bad(s),
			"Sprintf": printable.Sprintf("%s %v %v %s %v", s, errors.New(s), []string{s}, []byte(s), struct{ S string }{s}),
			"Table":   rows.String(), "Encode": doc.String(), "log": log.String(), "Deep": fmt.Sprint(data.S, *data.P),
		} {
			if passed := printabletest.Passed([]byte(out)); len(passed) > 0 {
				t.Errorf("%s: %s lets %v pass: %q", c.Name, name, passed, out)
			}
		}
		if own := c.Text == "\n" || c.Text == "\t"; own != (len(printabletest.Passed([]byte(text.String()))) > 0) {
			t.Errorf("%s: a writer makes %q of it", c.Name, text.String())
		}
		if (printable.Bad(s) == "") || printable.Bad("21 °C") != "" {
			t.Errorf("%s: Bad says %q", c.Name, printable.Bad(s))
		}
	}
}

// printing leaves out what JSON itself forbids in a string.
func printing(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}

func TestShort(t *testing.T) {
	if got := printable.Short("abcdef", 6); got != "abcdef" {
		t.Error(got)
	}
	if got := printable.Short(strings.Repeat("é\x1b", 1000), 4); got != `é\x1b… (2997 bytes more)` {
		t.Errorf("%q", got)
	}
	if got := printable.Words(" no\n\tmodem \x00\x00", 100); got != "no modem" {
		t.Errorf("%q", got)
	}
}

func TestLongStringsOfALogAreCut(t *testing.T) {
	for _, in := range []string{strings.Repeat("a", 99), strings.Repeat(`\`, 99), strings.Repeat("\x1b", 99),
		strings.Repeat(`"é`, 50), "a" + strings.Repeat("\u009b", 40)} {
		for most := range 40 {
			line, _ := json.Marshal(map[string]any{"long": in, "n": 7, "short": "b"})
			got := printable.AppendJSON(nil, line, most+5)
			var read struct {
				Long, Short string
				N           int
			}
			if err := json.Unmarshal(got, &read); err != nil || read.N != 7 || read.Short != "b" || !strings.HasSuffix(read.Long,
				"…") {
				t.Fatalf("at most %d bytes of %q: %s, %v", most+5, in, got, err)
			}
		}
	}
}

func TestDeepLeavesWhatItWasHanded(t *testing.T) {
	type doc struct {
		M map[string]string
		L []string
		P *struct{ S string }
	}
	given := doc{map[string]string{"\x1b": "a\x1b", `\x1b`: "b"}, []string{"\x1b"}, &struct{ S string }{"\x1b"}}
	shown := given
	printable.Deep(&shown, 100)
	if given.M["\x1b"] != "a\x1b" || given.L[0] != "\x1b" || given.P.S != "\x1b" {
		t.Errorf("changed: %v", given)
	}
	if len(shown.M) != 2 || shown.L[0] != `\x1b` || shown.P.S != `\x1b` {
		t.Errorf("%v", shown)
	}
}

func TestPassedFindsEach(t *testing.T) {
	for _, c := range printabletest.Controls() {
		if len(printabletest.Passed([]byte("x"+printabletest.Marked(c)))) == 0 {
			t.Errorf("%s is not found", c.Name)
		}
	}
	if got := printabletest.Passed([]byte("a line\tof ours\n<0:\\x1b:0>")); got != nil {
		t.Errorf("%v", got)
	}
}

func FuzzPrintable(f *testing.F) {
	for _, c := range printabletest.Controls() {
		f.Add(c.Text+"a"+c.Text, 3)
	}
	for _, s := range printabletest.Clean() {
		f.Add(s, 7)
	}
	f.Fuzz(func(t *testing.T, s string, split int) {
		line := printable.Line(s)
		if passed := printabletest.Passed([]byte(line)); passed != nil || strings.ContainsAny(line, "\n\t") {
			t.Fatalf("%q: %v pass", line, passed)
		}
		if again := printable.Line(line); again != line {
			t.Fatalf("%q becomes %q", line, again)
		}
		if (line == s) != (printable.Bad(s) == "") {
			t.Fatalf("%q: Bad says %q", s, printable.Bad(s))
		}
		if short := printable.Short(s, 10); len(short) > 10*10+40 || printable.Line(short) != short {
			t.Fatalf("short: %q", short)
		}
		var out strings.Builder
		w := printable.NewWriter(&out)
		if cut := max(0, split); cut < len(s) {
			_, _ = w.Write([]byte(s[:cut]))
			s = s[cut:]
		}
		_, _ = w.Write([]byte(s))
		_ = w.Flush()
		if text := out.String(); printable.Text(text) != text || !utf8.ValidString(text) {
			t.Fatalf("writer: %q", text)
		}
	})
}

func FuzzJSON(f *testing.F) {
	for _, c := range printabletest.Controls() {
		f.Add(c.Text, c.Text+`"\`, 5)
	}
	f.Fuzz(func(t *testing.T, a, b string, most int) {
		doc, err := json.Marshal(map[string]any{"a": a, "b": []string{b, a}})
		if err != nil {
			t.Skip("no JSON: ", err)
		}
		got := printable.AppendJSON(nil, doc, 0)
		var was, is map[string]any
		if json.Unmarshal(doc, &was) != nil || json.Unmarshal(got, &is) != nil || fmt.Sprint(was) != fmt.Sprint(is) {
			t.Fatalf("%s says something else than %s", got, doc)
		}
		if passed := printabletest.Passed(got); passed != nil {
			t.Fatalf("%q: %v pass", got, passed)
		}
		if cut := printable.AppendJSON(nil, doc, most); !json.Valid(cut) {
			t.Fatalf("cut at %d: %s", most, cut)
		}
		own := func(name string) bool { return name == "C0 U+000A" || name == "C0 U+0009" }
		junk := printable.AppendJSON(nil, []byte(a), most) // line feeds and tabs between values are ours
		if passed := slices.DeleteFunc(printabletest.Passed(junk), own); len(passed) > 0 {
			t.Fatalf("no JSON: %q: %v pass", junk, passed)
		}
	})
}
