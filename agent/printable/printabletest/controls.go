// Package printabletest has what strangers write, for the tests of every edge: a table of the characters that steer terminals,
// forge lines or hide text, and what finds them in an output.
package printabletest

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Control is one such character, or a byte that is none.
type Control struct {
	Name string
	Text string // as the stranger writes it
}

// Controls are all of C0 but NUL, DEL, all of C1, the bidi controls, separators of lines, what hides, and what is no UTF-8.
func Controls() (all []Control) {
	add := func(name string, r rune) {
		all = append(all, Control{fmt.Sprintf("%s U+%04X", name, r), string(r)})
	}
	span := func(name string, from, to rune) {
		for r := from; r <= to; r++ {
			add(name, r)
		}
	}
	span("C0", 0x01, 0x1f)
	add("DEL", 0x7f)
	span("C1", 0x80, 0x9f)
	for _, r := range "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069" {
		add("bidi", r)
	}
	add("line separator", 0x2028)
	add("paragraph separator", 0x2029)
	for _, r := range "\u00ad\u180e\u200b\u200c\u2060\u2061\u2064\u206a\u206f\ufeff\ufff9\ufffb\U000e0001\U000e0041\U000e007f" {
		add("hides text", r)
	}
	for _, s := range []string{"\x80", "\x9b", "\xff", "\xc2", "\xe2\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x9b"} {
		all = append(all, Control{fmt.Sprintf("not UTF-8 %x", s), s})
	}
	return all
}

// Text is what may stand in JSON, in a topic, in a file of YAML and in a name: those of Controls that are UTF-8.
func Text() (all []Control) {
	for _, c := range Controls() {
		if utf8.ValidString(c.Text) {
			all = append(all, c)
		}
	}
	return all
}

// Join is each of them between marks, so that it can be seen where one was shown: <esc 0 ESC 0> is "<0:\x1b:0>".
func Join(all []Control) string {
	var b strings.Builder
	for i, c := range all {
		fmt.Fprintf(&b, "<%d:%s:%d>", i, c.Text, i)
	}
	return b.String()
}

// Passed are the names of those that stand raw in output, though line feeds and tabs of our own may stand anywhere: of those,
// only what [Join] or [Marked] has put between marks counts.
func Passed(output []byte) (names []string) {
	for i, c := range Controls() {
		marked := fmt.Sprintf(":%s:", c.Text)
		switch {
		case c.Text == "\n" || c.Text == "\t":
			if bytes.Contains(output, []byte(marked)) {
				names = append(names, c.Name)
			}
		case !utf8.ValidString(c.Text):
			if bytes.Contains(output, []byte(marked)) {
				names = append(names, c.Name)
			}
		case bytes.Contains(output, []byte(c.Text)):
			names = append(names, fmt.Sprintf("%s (%d)", c.Name, i))
		}
	}
	if !utf8.Valid(output) {
		names = append(names, "not UTF-8")
	}
	return names
}

// Marked is one of them between marks, as [Passed] looks for it.
func Marked(c Control) string { return "<0:" + c.Text + ":0>" }

// Clean is what passes every edge as it is.
func Clean() []string {
	return []string{"21 °C", "21\u00a0°C", "Grüße aus Köln, naïve façade", "温度センサー", "서울", "Ελλάδα", "Привет", "قراءة", "שלום",
		"👍🏽 ❤️ 👩‍🚀 👨‍👩‍👧 🇩🇪 1️⃣", "a\u3000b", `C:\path\x1b`, "e\u0301", "<&>\"'"}
}
