package hostile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// controls are what steers a terminal, forges a line or hides text: C0 but NUL and CR (a terminal's own line ends have it; it is
// looked for between marks), DEL, C1, bidi controls, separators of lines, what is shown as nothing, and bytes that are no UTF-8.
func controls() (all []string) {
	for r := rune(1); r < 0x20; r++ {
		all = append(all, string(r))
	}
	for r := rune(0x7f); r < 0xa0; r++ {
		all = append(all, string(r))
	}
	const more = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff\u200b\U000e0041"
	for _, r := range more {
		all = append(all, string(r))
	}
	return append(all, "\x80", "\x9b", "\xff", "\xc2", "\xe2\x80", "\xc0\x9b", "\xed\xa0\x80")
}

// utf8Controls are those that a JSON string, a topic and a document can hold.
func utf8Controls() (all []string) {
	for _, c := range controls() {
		if utf8.ValidString(c) {
			all = append(all, c)
		}
	}
	return all
}

// marked is each of them between marks, so that our own line ends are not taken for a stranger's.
func marked(all []string) string {
	var b strings.Builder
	for i, c := range all {
		fmt.Fprintf(&b, "<%d:%s:%d>", i, c, i)
	}
	return b.String()
}

// sentence is a mark that shows in an output whether the edge was reached at all.
const sentence = "STRANGER"

// hostileText is what a stranger writes where text is taken: the mark, then every control character of UTF-8, then words that
// would look like ours on a line of their own.
func hostileText() string { return sentence + marked(utf8Controls()) + "\x1b[2J\x1b]0;owned\x07" }

// hostileBytes is that with what is no UTF-8 too.
func hostileBytes() string { return sentence + marked(controls()) + "\x1b[2J\x1b]0;owned\x07" }

// passed are the control characters that stand raw in an output. own are those that the edge itself may write anywhere, such as
// line ends; of these only what stands between marks counts.
func passed(output []byte, own string) (names []string) {
	for i, c := range controls() {
		hit := false
		switch {
		case strings.Contains(own, c) || !utf8.ValidString(c):
			hit = bytes.Contains(output, fmt.Appendf(nil, ":%s:", c))
		default:
			hit = bytes.Contains(output, []byte(c))
		}
		if hit {
			names = append(names, fmt.Sprintf("%q (%d)", c, i))
		}
	}
	return names
}

// quoted is a JSON string with nothing escaped that JSON does not want escaped.
func quoted(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string always can
	return strings.TrimSpace(strings.NewReplacer(`\u2028`, "\u2028", `\u2029`, "\u2029").Replace(b.String()))
}
