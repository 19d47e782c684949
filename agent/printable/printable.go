// Package printable shows what a stranger wrote so that it cannot steer a terminal, forge a line or hide text: a server, a proxy,
// a gateway, a device, a program on this machine, or whoever wrote a file or an environment.
//
// One form for each character: \x1b for one of ASCII, \u009b and \U000e0041 for others, \x9b for a byte that is no UTF-8. What
// people read passes as it is: umlauts, CJK, "21 °C", emoji. A backslash is left alone, so what was made printable once stays as
// it is when the next edge does so again; a stranger may type \x1b, which then looks like an escape and does nothing.
//
// [Line] is for a string within a line, [Text] and [Writer] for whole lines of ours, [AppendJSON] for documents. It is the only
// room that prints: [Fprintf], [Table] and [Encode] stand where fmt, text/tabwriter and encoding/json would, and build/arch finds
// a program's print beside them. Pure, but for the writers that it is handed.
package printable

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line is s in one line, with everything escaped that is not shown as itself: control characters, line ends and tabs too. What
// has nothing of that is returned as it is, without an allocation.
func Line(s string) string { return show(s, false) }

// Text is Line of whole lines: a line feed and a tab stay.
func Text(s string) string { return show(s, true) }

// Short is Line of at most the first most bytes of s, with how many bytes are missing behind them: for what a stranger chooses
// the length of.
func Short(s string, most int) string {
	if len(s) <= most || len(s) <= most+cutSuffix && strings.HasSuffix(s, cutEnd) { // it was cut before
		return Line(s)
	}
	cut := most
	for cut > 0 && most-cut < utf8.UTFMax && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return Line(s[:cut]) + "… (" + strconv.Itoa(len(s)-cut) + cutEnd
}

// What stands behind a text that was cut, and how long that is at most, in bytes.
const (
	cutEnd    = " bytes more)"
	cutSuffix = len("… (") + 19 + len(cutEnd)
)

// Words is Short of a program's output: runs of white space and NUL are one space.
func Words(s string, most int) string {
	return Short(strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == 0 || unicode.IsSpace(r) }), " "), most)
}

// Bad is the first thing in s that is not shown as itself, as Line shows it; "" when there is nothing.
func Bad(s string) string {
	i := find(s, false)
	if i < 0 {
		return ""
	}
	r, size := utf8.DecodeRuneInString(s[i:])
	return string(appendOne(nil, s[i], r, size))
}

// find is where the first thing stands that is not shown as itself; -1: nowhere.
func find(s string, lines bool) int {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' && !(lines && (c == '\n' || c == '\t')) || c == 0x7f {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size <= 1 || !shown(s, i, r, size) {
			return i
		}
		i += size
	}
	return -1
}

// show is s with what is not shown as itself escaped. It is not inlined, as nothing here that is called in many places: the
// program of a gateway is small.
//
//go:noinline
func show(s string, lines bool) string {
	next := find(s, lines)
	if next < 0 {
		return s
	}
	shown := make([]byte, 0, len(s)+16)
	for next >= 0 {
		shown = append(shown, s[:next]...)
		r, size := utf8.DecodeRuneInString(s[next:])
		shown = appendOne(shown, s[next], r, size)
		s = s[next+size:]
		next = find(s, lines) // from here on: an escape is nothing that a joiner joins
	}
	return string(append(shown, s...))
}

// appendOne adds the escape of one character, or of the byte first when it is no UTF-8.
func appendOne(dst []byte, first byte, r rune, size int) []byte {
	switch {
	case r == utf8.RuneError && size <= 1:
		return appendHex(dst, 'x', rune(first), 2)
	case r < utf8.RuneSelf:
		return appendHex(dst, 'x', r, 2)
	case r <= 0xffff:
		return appendHex(dst, 'u', r, 4)
	}
	return appendHex(dst, 'U', r, 8)
}

// appendHex adds an escape with n digits.
//
//go:noinline
func appendHex(dst []byte, kind byte, r rune, n int) []byte {
	dst = append(dst, '\\', kind)
	for n--; n >= 0; n-- {
		dst = append(dst, "0123456789abcdef"[r>>(4*n)&15])
	}
	return dst
}

// shown is true for a character beyond ASCII that is seen as itself. Spaces are: they hide nothing, and "21 °C" has one that is
// not ASCII's. Of what has no width only what makes one sign out of its neighbours is: a joiner between two signs of an emoji,
// and one variation selector behind a character, and between letters of scripts that join.
func shown(s string, i int, r rune, size int) bool {
	switch {
	case r == joiner, r == nonJoiner:
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		after, _ := utf8.DecodeRuneInString(s[i+size:])
		return joins(before) && joins(after) || r == joiner && pictures(before) && pictures(after)
	case unicode.Is(unicode.Variation_Selector, r):
		before, _ := utf8.DecodeLastRuneInString(s[:i])
		return i > 0 && before >= ' ' && !unicode.Is(unicode.Variation_Selector, before)
	case blank(r):
		return false
	}
	return unicode.IsPrint(r) || unicode.Is(unicode.Zs, r) || unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

const (
	nonJoiner = '\u200c'
	joiner    = '\u200d'
)

// joins is true for a letter or a mark of a script whose letters join, or do not, by such a sign: Arabic and those behind it, not
// Latin, Greek, Cyrillic.
func joins(r rune) bool { return r > 0x058f && unicode.In(r, unicode.L, unicode.M) && !blank(r) }

// pictures is true for what an emoji is joined of: a sign, the colour of its skin, its variant.
func pictures(r rune) bool {
	return r != utf8.RuneError && (unicode.In(r, unicode.So, unicode.Sk) || r == '\ufe0f')
}

// blank is true for letters and marks that are drawn as nothing (Default_Ignorable_Code_Point of Unicode, where it is not Cf).
func blank(r rune) bool {
	switch r {
	case 0x034f, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x3164, 0xffa0:
		return true
	}
	return false
}
