package printable

import (
	"encoding/json"
	"io"
	"slices"
	"unicode/utf8"
)

// AppendJSON adds JSON documents or lines to dst, with everything in them escaped that is not shown as itself, as JSON escapes:
// who reads the document reads the same strings as before. encoding/json and zerolog leave DEL, C1 and bidi controls as they are.
// A byte that is no UTF-8 becomes \ufffd, as with encoding/json. A string longer than most bytes is cut there, with … at its
// end; most 0: none is.
func AppendJSON(dst, p []byte, most int) []byte {
	s := scanner{most: most}
	dst = slices.Grow(dst, len(p))
	for at := 0; at < len(p); {
		dst, at = s.next(dst, p, at)
	}
	return dst
}

const (
	piece  = 16 << 10 // bytes of a document that are looked at in one go
	around = 2 * utf8.UTFMax
)

// next adds a piece of p, from at on, and returns where the next one begins: what is escaped takes up to six times its room, and
// of a whole document there is never a copy.
func (s *scanner) next(dst, p []byte, at int) ([]byte, int) {
	from, end := max(at-around, 0), min(at+piece, len(p)) // a joiner is judged by what stands around it
	text := string(p[from:min(end+around, len(p))])
	i := at - from
	for i < end-from {
		c := text[i]
		r, size := rune(c), 1
		if c >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		if s.see(c, size); !s.drop() {
			dst = s.append(dst, text, i, r, size)
		}
		i += size
	}
	return dst, from + i
}

// scanner knows where in a document it is.
type scanner struct {
	most    int
	inside  bool // a string
	escaped bool // the next byte belongs to an escape
	hex     int  // digits of \u that are to come
	middle  bool // this is not the first byte of an escape: nothing may be cut here
	length  int  // bytes of the string so far
	cut     bool // the end of the string is left out
}

// see takes the next character into account.
func (s *scanner) see(c byte, size int) {
	s.middle = s.inside && (s.escaped || s.hex > 0)
	switch {
	case !s.inside:
		if s.inside = c == '"'; s.inside {
			s.length, s.cut = -1, false
		} else {
			return
		}
	case s.hex > 0:
		s.hex--
	case s.escaped:
		if s.escaped = false; c == 'u' {
			s.hex = 4
		}
	case c == '\\':
		s.escaped = true
	case c == '"':
		s.inside = false
		return
	}
	s.length += size
}

// drop is true for what is behind the cut of a string.
func (s *scanner) drop() bool { return s.inside && s.cut }

func (s *scanner) append(dst []byte, text string, i int, r rune, size int) []byte {
	if s.inside && s.most > 0 && s.length > s.most && !s.middle {
		s.cut = true
		return append(dst, "…"...)
	}
	switch {
	case !s.inside && (r == '\n' || r == '\t'):
		return append(dst, byte(r))
	case r == utf8.RuneError && size == 1 && text[i] >= utf8.RuneSelf:
		return append(dst, `\ufffd`...)
	case r >= ' ' && r < 0x7f, r >= utf8.RuneSelf && shown(text, i, r, size):
		return append(dst, text[i:i+size]...)
	case r <= 0xffff:
		return appendHex(dst, 'u', r, 4)
	}
	r -= 0x10000 // RFC 8259, 7: a surrogate pair
	return appendHex(appendHex(dst, 'u', 0xd800+r>>10, 4), 'u', 0xdc00+r&0x3ff, 4)
}

// Encode writes v as a JSON document and a line feed, without escapes for HTML. With indent, over several lines. A document of at
// most a few KiB is one Write.
func Encode(w io.Writer, v any, indent bool) error {
	enc := json.NewEncoder(documents{w})
	enc.SetEscapeHTML(false)
	if indent {
		enc.SetIndent("", "  ")
	}
	return enc.Encode(v)
}

// documents writes a document, which comes in one Write, in pieces.
type documents struct{ out io.Writer }

// Write implements io.Writer.
func (d documents) Write(p []byte) (int, error) {
	var s scanner
	var dst []byte
	for at := 0; at < len(p); {
		dst, at = s.next(dst[:0], p, at)
		if _, err := d.out.Write(dst); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
