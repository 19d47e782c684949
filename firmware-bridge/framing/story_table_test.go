package framing

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// step feeds in at a moment (ms) and drains; an empty in only asks.
type step struct {
	ms int
	in string
}

type row struct {
	name  string
	spec  Spec
	steps []step
	want  []string // data@ms of the first byte, when not 0
	bad   error    // expected among the errors; nil: none at all
	stats Stats
}

func TestFramers(t *testing.T) {
	for _, r := range slices.Concat(lineRows(), delimiterRows(), idleRows(), fixedRows(), lengthRows(), summedRows(),
		cobsRows(), slipRows(), enclosedRows(), rtuRows(), nmeaRows()) {
		t.Run(r.spec.Type+"/"+r.name, func(t *testing.T) {
			f := mustNew(t, r.spec)
			var out []string
			var bad []error
			for _, s := range r.steps {
				f.Feed(at(s.ms), []byte(s.in))
				frames, errs := drain(t, f, at(s.ms))
				for _, g := range frames {
					out = append(out, label(g))
				}
				bad = append(bad, errs...)
			}
			if !slices.Equal(out, r.want) {
				t.Errorf("frames %q, want %q", out, r.want)
			}
			if (r.bad == nil) != (len(bad) == 0) || r.bad != nil && !errors.Is(errors.Join(bad...), r.bad) {
				t.Errorf("errors %v, want %v", bad, r.bad)
			}
			r.stats.Frames = int64(len(r.want))
			got := f.Stats()
			r.stats.Checks = got.Checks
			if got != r.stats {
				t.Errorf("stats %+v, want %+v", got, r.stats)
			}
		})
	}
}

func label(g got) string {
	if g.start.Equal(t0()) {
		return g.data
	}
	return g.data + "@" + g.start.Sub(t0()).String()
}

func lineRows() []row {
	line := Spec{Type: "line", Max: 8}
	return []row{
		{"whole", line, []step{{0, "abc\n"}}, []string{"abc"}, nil, Stats{Read: 4, InFrames: 3, Delimiters: 1}},
		{"both line ends", line, []step{{0, "a\r\nb\nc\r\n"}}, []string{"a", "b", "c"}, nil,
			Stats{Read: 8, InFrames: 3, Delimiters: 5}},
		{"glued", line, []step{{5, "a\nb\nc"}, {9, "\n"}}, []string{"a@5ms", "b@5ms", "c@5ms"}, nil,
			Stats{Read: 6, InFrames: 3, Delimiters: 3}},
		{"torn inside", line, []step{{0, "ab"}, {7, "cd"}, {9, "\nx\n"}}, []string{"abcd", "x@9ms"}, nil,
			Stats{Read: 7, InFrames: 5, Delimiters: 2}},
		{"torn inside the line end", line, []step{{0, "ab\r"}, {7, "\n"}}, []string{"ab"}, nil,
			Stats{Read: 4, InFrames: 2, Delimiters: 2}},
		{"empty lines are none", line, []step{{0, "\n\r\n\na\n\n"}}, []string{"a"}, nil,
			Stats{Read: 7, InFrames: 1, Delimiters: 6}},
		{"\\r alone is content", line, []step{{0, "a\rb\r\r\n"}}, []string{"a\rb\r"}, nil,
			Stats{Read: 6, InFrames: 4, Delimiters: 2}},
		{"noise is not judged", line, []step{{0, "\x00\xff\xfe\n"}}, []string{"\x00\xff\xfe"}, nil,
			Stats{Read: 4, InFrames: 3, Delimiters: 1}},
		{"as long as may be", line, []step{{0, "12345678\r\n12345678\n"}}, []string{"12345678", "12345678"}, nil,
			Stats{Read: 19, InFrames: 16, Delimiters: 3}},
		{"as long as may be, torn before \\n", line, []step{{0, "12345678\r"}, {1, "\n"}}, []string{"12345678"}, nil,
			Stats{Read: 10, InFrames: 8, Delimiters: 2}},
		{"one too long", line, []step{{0, "123456789\nok\n"}}, []string{"ok"}, ErrTooLong,
			Stats{Read: 13, InFrames: 2, Delimiters: 2, Bad: 9, BadFrames: 1}},
		{"one too long, in pieces", line, []step{{0, "12345"}, {1, "6789"}, {2, "\nok\n"}}, []string{"ok@2ms"}, ErrTooLong,
			Stats{Read: 13, InFrames: 2, Delimiters: 2, Bad: 9, BadFrames: 1}},
		{"one too long behind \\r", line, []step{{0, "12345678\r"}, {1, "9\n"}}, nil, ErrTooLong,
			Stats{Read: 11, Delimiters: 1, Bad: 10, BadFrames: 1}},
		{"far too long, bad once", line, []step{{0, strings.Repeat("x", 20)}, {1, strings.Repeat("y", 20)}, {2, "z\nok\n"}},
			[]string{"ok@2ms"}, ErrTooLong, Stats{Read: 45, InFrames: 2, Delimiters: 2, Bad: 41, BadFrames: 1}},
		{"pending", line, []step{{0, "abc"}}, nil, nil, Stats{Read: 3, Pending: 3}},
		{"type is line when empty", Spec{}, []step{{0, "abc\n"}}, []string{"abc"}, nil,
			Stats{Read: 4, InFrames: 3, Delimiters: 1}},
	}
}

func delimiterRows() []row {
	crlf := Spec{Type: "delimiter", Bytes: []byte("\r\n"), Max: 6}
	keep := Spec{Type: "delimiter", Bytes: []byte("\r\n"), Max: 6, Keep: true}
	etx := Spec{Type: "delimiter", Bytes: []byte{3}, Max: 6}
	aab := Spec{Type: "delimiter", Bytes: []byte("aab"), Max: 6}
	return []row{
		{"whole", crlf, []step{{0, "abc\r\n"}}, []string{"abc"}, nil, Stats{Read: 5, InFrames: 3, Delimiters: 2}},
		{"kept", keep, []step{{0, "abc\r\n\r\n"}}, []string{"abc\r\n"}, nil, Stats{Read: 7, InFrames: 5, Delimiters: 2}},
		{"half a delimiter is content", crlf, []step{{0, "a\rb\nc\r\n"}}, []string{"a\rb\nc"}, nil,
			Stats{Read: 7, InFrames: 5, Delimiters: 2}},
		{"torn inside the delimiter", crlf, []step{{0, "abc\r"}, {4, "\nd"}, {5, "\r\n"}}, []string{"abc", "d@4ms"}, nil,
			Stats{Read: 8, InFrames: 4, Delimiters: 4}},
		{"a delimiter that starts twice", aab, []step{{0, "xa"}, {1, "a"}, {2, "ab"}}, []string{"xa"}, nil,
			Stats{Read: 5, InFrames: 2, Delimiters: 3}},
		{"one byte", etx, []step{{0, "a\x03\x03b\x03"}}, []string{"a", "b"}, nil, Stats{Read: 5, InFrames: 2, Delimiters: 3}},
		{"as long as may be", crlf, []step{{0, "123456\r"}, {1, "\n"}}, []string{"123456"}, nil,
			Stats{Read: 8, InFrames: 6, Delimiters: 2}},
		{"too long", crlf, []step{{0, "1234567\r\nok\r\n"}}, []string{"ok"}, ErrTooLong,
			Stats{Read: 13, InFrames: 2, Delimiters: 4, Bad: 7, BadFrames: 1}},
		{"too long, torn inside the delimiter", crlf, []step{{0, "12345678\r"}, {1, "\nok\r\n"}}, []string{"ok@1ms"}, ErrTooLong,
			Stats{Read: 14, InFrames: 2, Delimiters: 4, Bad: 8, BadFrames: 1}},
		{"too long, holds only a possible delimiter", crlf, []step{{0, strings.Repeat("x", 30)}}, nil, ErrTooLong,
			Stats{Read: 30, Bad: 29, Pending: 1, BadFrames: 1}},
	}
}

func idleRows() []row {
	gap := Spec{Type: "idle", Gap: 20 * time.Millisecond, Max: 6}
	timed := Spec{Type: "idle", Chars: 3.5, CharTime: time.Millisecond, Max: 6}
	return []row{
		{"silence seen by waiting", gap, []step{{0, "abc"}, {19, ""}, {20, ""}}, []string{"abc"}, nil,
			Stats{Read: 3, InFrames: 3}},
		{"silence seen by the next chunk", gap, []step{{0, "abc"}, {20, "de"}}, []string{"abc"}, nil,
			Stats{Read: 5, InFrames: 3, Pending: 2}},
		{"torn", gap, []step{{0, "a"}, {15, "b"}, {30, "c"}, {50, "d"}, {70, ""}}, []string{"abc", "d@50ms"}, nil,
			Stats{Read: 4, InFrames: 4}},
		{"a late reader is no silence", timed, []step{{0, "ab"}, {5, "cdef"}, {9, ""}}, []string{"abcdef"}, nil,
			Stats{Read: 6, InFrames: 6}},
		{"a late reader and a silence", timed, []step{{0, "ab"}, {8, "cdef"}, {12, ""}}, []string{"ab", "cdef@8ms"}, nil,
			Stats{Read: 6, InFrames: 6}},
		{"chars", timed, []step{{0, "ab"}, {3, ""}, {4, ""}}, []string{"ab"}, nil, Stats{Read: 2, InFrames: 2}},
		{"as long as may be", gap, []step{{0, "123456"}, {20, ""}}, []string{"123456"}, nil, Stats{Read: 6, InFrames: 6}},
		{"too long, up to the silence", gap, []step{{0, "1234567"}, {10, "89"}, {30, "ok"}, {50, ""}}, []string{"ok@30ms"},
			ErrTooLong, Stats{Read: 11, InFrames: 2, Bad: 9, BadFrames: 1}},
		{"too long, the silence seen by waiting", gap, []step{{0, "1234567"}, {20, ""}, {21, "ok"}, {41, ""}},
			[]string{"ok@21ms"}, ErrTooLong, Stats{Read: 9, InFrames: 2, Bad: 7, BadFrames: 1}},
		{"too long in the last chunk", gap, []step{{0, "1234"}, {1, "567"}, {21, "ok"}, {41, ""}}, []string{"ok@21ms"},
			ErrTooLong, Stats{Read: 9, InFrames: 2, Bad: 7, BadFrames: 1}},
	}
}

func fixedRows() []row {
	plain := Spec{Type: "fixed", Size: 4}
	head := Spec{Type: "fixed", Size: 5, Header: []byte("#!")}
	twice := Spec{Type: "fixed", Size: 6, Header: []byte("##!")}
	return []row{
		{"glued and torn", plain, []step{{0, "aaaabb"}, {3, "bbc"}, {5, "ccc"}}, []string{"aaaa", "bbbb", "cccc@3ms"}, nil,
			Stats{Read: 12, InFrames: 12}},
		{"with header", head, []step{{0, "#!abc#!def"}}, []string{"#!abc", "#!def"}, nil, Stats{Read: 10, InFrames: 10}},
		{"noise first", head, []step{{0, "xy#!abc"}}, []string{"#!abc"}, ErrResync,
			Stats{Read: 7, InFrames: 5, Bad: 2, BadFrames: 1}},
		{"noise between, in pieces, bad once", head, []step{{0, "#!abcx"}, {1, "y#"}, {2, "z#!def"}},
			[]string{"#!abc", "#!def@2ms"}, ErrResync, Stats{Read: 14, InFrames: 10, Bad: 4, BadFrames: 1}},
		{"half a header waits", head, []step{{0, "#"}, {4, "!abc"}}, []string{"#!abc"}, nil, Stats{Read: 5, InFrames: 5}},
		{"a header that starts twice", twice, []step{{0, "#"}, {1, "#"}, {2, "#"}, {3, "!abc"}}, []string{"##!abc@1ms"},
			ErrResync, Stats{Read: 7, InFrames: 6, Bad: 1, BadFrames: 1}},
		{"a byte lost costs two frames, not the stream", head, []step{{0, "#!abc#!df#!ghi#!jkl"}},
			[]string{"#!abc", "#!df#", "#!jkl"}, ErrResync, Stats{Read: 19, InFrames: 15, Bad: 4, BadFrames: 1}},
		{"endless noise holds nothing", head, []step{{0, strings.Repeat("x", 5000)}}, nil, ErrResync,
			Stats{Read: 5000, Bad: 5000, BadFrames: 1}},
	}
}
