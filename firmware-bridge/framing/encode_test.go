package framing

import (
	"errors"
	"testing"
	"time"
)

func TestEncode(t *testing.T) {
	line := Spec{Type: "line", Max: 8}
	crlf := Spec{Type: "line", Max: 8, Bytes: []byte("\r\n")}
	aa := Spec{Type: "delimiter", Max: 8, Bytes: []byte("aa")}
	idle := Spec{Type: "idle", Max: 4, Gap: time.Millisecond}
	fixed := Spec{Type: "fixed", Size: 4, Header: []byte("#")}
	for _, c := range []struct {
		name    string
		spec    Spec
		payload string
		want    string
		err     error
	}{
		{"line adds its end", line, "abc", "abc\n", nil},
		{"line keeps an end that is there", line, "abc\n", "abc\n", nil},
		{"line keeps \\r\\n", line, "abc\r\n", "abc\r\n", nil},
		{"line with its own end", crlf, "abc", "abc\r\n", nil},
		{"line with its own end keeps \\n", crlf, "abc\n", "abc\n", nil},
		{"a bare new line wakes a console", line, "\n", "\n", nil},
		{"line of the longest length", line, "12345678\r\n", "12345678\r\n", nil},
		{"line too long", line, "123456789", "", ErrTooLong},
		{"line with two lines", line, "a\nb", "", ErrDelimiter},
		{"line with two ends", line, "a\n\n", "", ErrDelimiter},
		{"line of nothing", line, "", "", ErrEmpty},
		{"delimiter added", aa, "xyz", "xyzaa", nil},
		{"delimiter there", aa, "xyzaa", "xyzaa", nil},
		{"delimiter inside", aa, "xaay", "", ErrDelimiter},
		{"delimiter made with the end of the payload", aa, "xa", "", ErrDelimiter},
		{"delimiter too long", aa, "123456789", "", ErrTooLong},
		{"delimiter of nothing", aa, "", "", ErrEmpty},
		{"idle as it is", idle, "\x00\n", "\x00\n", nil},
		{"idle too long", idle, "12345", "", ErrTooLong},
		{"idle of nothing", idle, "", "", ErrEmpty},
		{"fixed as it is", fixed, "#abc", "#abc", nil},
		{"fixed too short", fixed, "#ab", "", ErrWrongSize},
		{"fixed too long", fixed, "#abcd", "", ErrWrongSize},
		{"fixed without its header", fixed, "abcd", "", ErrNoHeader},
		{"fixed of nothing", fixed, "", "", ErrEmpty},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := mustNew(t, c.spec)
			out, err := f.Encode([]byte("before|"), []byte(c.payload))
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if string(out) != "before|"+c.want {
				t.Errorf("%q, want %q after what was there", out, c.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	for name, s := range map[string]Spec{
		"unknown type":                 {Type: "cobs9"},
		"negative max":                 {Max: -1},
		"keep for line":                {Keep: true},
		"size for line":                {Size: 3},
		"gap for delimiter":            {Type: "delimiter", Bytes: []byte{1}, Gap: 1},
		"line with another delimiter":  {Bytes: []byte(";")},
		"delimiter without bytes":      {Type: "delimiter"},
		"delimiter of 17 bytes":        {Type: "delimiter", Bytes: chars(17)},
		"idle without a silence":       {Type: "idle"},
		"idle with both":               {Type: "idle", Gap: 1, Chars: 1, CharTime: 1},
		"idle with a negative silence": {Type: "idle", Gap: -1},
		"idle by chars without baud":   {Type: "idle", Chars: 3.5},
		"fixed without a size":         {Type: "fixed"},
		"fixed longer than max":        {Type: "fixed", Size: 9, Max: 8},
		"fixed, header too long":       {Type: "fixed", Size: 2, Header: []byte("abc")},
		"header for idle":              {Type: "idle", Gap: 1, Header: []byte("a")},
	} {
		if f, err := New(s); err == nil {
			t.Errorf("%s: made %T", name, f)
		} else {
			t.Logf("%s: %v", name, err)
		}
	}
}

func TestWakeIsTheEndOfTheSilence(t *testing.T) {
	f := mustNew(t, Spec{Type: "idle", Gap: 20 * time.Millisecond, Max: 3})
	if !f.Wake().IsZero() {
		t.Error("wakes before anything was fed")
	}
	f.Feed(at(5), []byte("ab"))
	drain(t, f, at(5))
	if !f.Wake().Equal(at(25)) {
		t.Errorf("wakes at %v", f.Wake())
	}
	drain(t, f, at(25))
	if !f.Wake().IsZero() {
		t.Error("wakes after the frame was cut")
	}
	f.Feed(at(30), []byte("too long"))
	drain(t, f, at(30))
	if !f.Wake().Equal(at(50)) {
		t.Errorf("a bad burst must wake too, to see its end: %v", f.Wake())
	}
	drain(t, f, at(50))
	if !f.Wake().IsZero() {
		t.Error("wakes after the end of the bad burst")
	}
	for _, s := range []Spec{{}, {Type: "delimiter", Bytes: []byte(";")}, {Type: "fixed", Size: 9}} {
		f := mustNew(t, s)
		f.Feed(at(0), []byte("ab"))
		if !f.Wake().IsZero() {
			t.Errorf("%s wakes", s.Type)
		}
	}
}

func TestSilence(t *testing.T) {
	if s := (Spec{Type: "idle", Chars: 3.5, CharTime: 2 * time.Millisecond}).Silence(); s != 7*time.Millisecond {
		t.Errorf("3.5 characters of 2 ms: %v", s)
	}
	if s := (Spec{Type: "line", CharTime: time.Second}).Silence(); s != 0 {
		t.Errorf("line: %v", s)
	}
}
