package framing

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestEncode(t *testing.T) {
	line := Spec{Type: "line", Max: 8}
	crlf := Spec{Type: "line", Max: 8, Bytes: []byte("\r\n")}
	aa := Spec{Type: "delimiter", Max: 8, Bytes: []byte("aa")}
	idle := Spec{Type: "idle", Max: 4, Gap: time.Millisecond}
	fixed := Spec{Type: "fixed", Size: 4, Header: []byte("#")}
	sirf := sirfSpec()
	sirf.Keep, sirf.Max = false, 16
	whole := sirf
	whole.Keep = true
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
		{"fixed with a checksum", Spec{Type: "fixed", Size: 4, Checksum: "xor8"}, "abc", "abc`", nil},
		{"fixed with a checksum, too long", Spec{Type: "fixed", Size: 4, Checksum: "xor8"}, "abc`", "", ErrWrongSize},
		{"line with a checksum", Spec{Checksum: "xor8", Max: 4}, "abc\r\n", "abc`\n", nil},
		{"line with a checksum, too long", Spec{Checksum: "xor8", Max: 4}, "abcd", "", ErrTooLong},
		{"line with a checksum that is its end", Spec{Checksum: "xor8"}, "a\x6b", "", ErrDelimiter},
		{"line with a checksum of nothing", Spec{Checksum: "xor8"}, "\n", "", ErrEmpty},
		{"a checksum kept, right", Spec{Checksum: "xor8", Keep: true}, "abc`", "abc`\n", nil},
		{"a checksum kept, wrong", Spec{Checksum: "xor8", Keep: true}, "abc?", "", ErrChecksum},
		{"delimiter with a checksum never trims", Spec{Type: "delimiter", Bytes: []byte(";"), Checksum: "sum8"}, "a;", "",
			ErrDelimiter},
		{"length", sirf, "abc", "\xa0\xa2\x00\x03abc\x01\x26\xb0\xb3", nil},
		{"length too long", sirf, "123456789", "", ErrTooLong},
		{"length that its field cannot say", Spec{Type: "length", Width: 1, Mask: 7, Max: 99}, "12345678", "", ErrTooLong},
		{"length of nothing", sirf, "", "", ErrEmpty},
		{"length, whole", whole, "\xa0\xa2\x00\x03abc\x01\x26\xb0\xb3", "\xa0\xa2\x00\x03abc\x01\x26\xb0\xb3", nil},
		{"length, whole, with a wrong checksum", whole, "\xa0\xa2\x00\x03abc\x01\x27\xb0\xb3", "", ErrChecksum},
		{"length, whole, with a wrong trailer", whole, "\xa0\xa2\x00\x03abc\x01\x26\xb0\xb4", "", ErrMalformed},
		{"length, whole, with a wrong header", whole, "abc", "", ErrNoHeader},
		{"length, whole, and more", whole, "\xa0\xa2\x00\x02abc\x01\x26\xb0\xb3", "", ErrWrongSize},
		{"length, whole, far too long", whole, "\xa0\xa2\x70\x02abc\x01\x26\xb0\xb3", "", ErrTooLong},
		{"cobs", Spec{Type: "cobs"}, "\x00a\x00", "\x01\x02a\x01\x00", nil},
		{"cobs with a checksum", Spec{Type: "cobs", Checksum: "xor8"}, "aa", "\x03aa\x01\x00", nil},
		{"cobs, the checksum is wrong", Spec{Type: "cobs", Checksum: "xor8", Keep: true}, "ab", "", ErrChecksum},
		{"slip", Spec{Type: "slip"}, "a\xc0\xdbb", "\xc0a\xdb\xdc\xdb\xddb\xc0", nil},
		{"slip too long", Spec{Type: "slip", Max: 2}, "abc", "", ErrTooLong},
		{"stx_etx", Spec{Type: "stx_etx", Checksum: "xor8"}, "ab", "\x02ab\x03\x00", nil},
		{"stx_etx that only dle can carry", Spec{Type: "stx_etx"}, "a\x03", "", ErrDelimiter},
		{"stx_etx with dle", Spec{Type: "stx_etx", DLE: true}, "a\x10\x03", "\x10\x02a\x10\x10\x03\x10\x03", nil},
		{"modbus_rtu", Spec{Type: "modbus_rtu"}, "\x01\x03\x00\x00\x00\x01", "\x01\x03\x00\x00\x00\x01\x84\x0a", nil},
		{"modbus_rtu without a function", Spec{Type: "modbus_rtu"}, "\x01", "", ErrWrongSize},
		{"modbus_rtu, no such address", Spec{Type: "modbus_rtu"}, "\xf8\x03", "", ErrMalformed},
		{"modbus_rtu too long", Spec{Type: "modbus_rtu"}, strings.Repeat("a", 255), "", ErrTooLong},
		{"nmea", Spec{Type: "nmea"}, "$GPGLL,1", "$GPGLL,1*4D\r\n", nil},
		{"nmea with its checksum and line end", Spec{Type: "nmea"}, "$GPGLL,1*4d\n", "$GPGLL,1*4d\r\n", nil},
		{"nmea with a wrong checksum", Spec{Type: "nmea"}, "$GPGLL,1*4E", "", ErrChecksum},
		{"nmea with a star inside", Spec{Type: "nmea"}, "$GPGLL*1", "", ErrChecksum},
		{"nmea that is none", Spec{Type: "nmea"}, "GPGLL,1", "", ErrNoHeader},
		{"nmea of two lines", Spec{Type: "nmea"}, "$GPGLL,1\r\n$", "", ErrDelimiter},
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
		"unknown checksum":             {Checksum: "md5"},
		"checksum for nmea":            {Type: "nmea", Checksum: "xor8"},
		"checksum bytes of none":       {Type: "fixed", Size: 3, SumFrom: 1},
		"checksum behind the frame":    {Type: "fixed", Size: 3, SumFrom: 2, Checksum: "sum16"},
		"fixed, checksum too long":     {Type: "fixed", Size: 3, Header: []byte("a"), Checksum: "crc24q"},
		"length without a width":       {Type: "length"},
		"length of 5 bytes":            {Type: "length", Width: 5},
		"length inside the header":     {Type: "length", Width: 1, Header: []byte("ab"), Offset: 1},
		"length would lose bytes":      {Type: "length", Width: 1, Header: []byte("ab"), Offset: 3},
		"mask wider than the length":   {Type: "length", Width: 1, Mask: 0x3ff},
		"max below the overhead":       {Type: "length", Width: 1, Max: 4, Checksum: "crc32"},
		"checksum behind the length":   {Type: "length", Width: 1, SumFrom: 2, Checksum: "crc32"},
		"trailer for fixed":            {Type: "fixed", Size: 3, Trailer: []byte("a")},
		"width for cobs":               {Type: "cobs", Width: 1},
		"dle for slip":                 {Type: "slip", DLE: true},
		"keep for stx_etx":             {Type: "stx_etx", Keep: true, Checksum: "xor8"},
		"checksum over nonsense":       {Type: "stx_etx", Checksum: "xor8", SumOver: "half"},
		"negative gap":                 {Type: "modbus_rtu", Gap: -1},
		"modbus_rtu, no room":          {Type: "modbus_rtu", Max: 3},
		"both byte orders":             {Checksum: "sum16", SumLittle: true, SumBig: true},
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
	for _, s := range []Spec{{}, {Type: "delimiter", Bytes: []byte(";")}, {Type: "fixed", Size: 9}, {Type: "cobs"},
		{Type: "slip"}, {Type: "stx_etx"}, {Type: "nmea"}, {Type: "length", Width: 1}} {
		f := mustNew(t, s)
		f.Feed(at(0), []byte("ab"))
		if !f.Wake().IsZero() {
			t.Errorf("%s wakes", s.Type)
		}
	}
}

func TestWakeOfModbusIsTheSilenceAndThenTheGap(t *testing.T) {
	f := mustNew(t, Spec{Type: "modbus_rtu", CharTime: time.Millisecond, Gap: 20 * time.Millisecond})
	f.Feed(at(10), []byte{1, 3, 0})
	drain(t, f, at(10))
	if want := at(10).Add(3500 * time.Microsecond); !f.Wake().Equal(want) {
		t.Errorf("wakes at %v, want %v", f.Wake(), want)
	}
	drain(t, f, f.Wake())
	if !f.Wake().Equal(at(30)) {
		t.Errorf("wakes at %v", f.Wake())
	}
	drain(t, f, at(30))
	if !f.Wake().IsZero() || f.Stats().Bad != 3 {
		t.Errorf("wakes at %v, %+v", f.Wake(), f.Stats())
	}
}

func TestSilence(t *testing.T) {
	if s := (Spec{Type: "modbus_rtu", CharTime: time.Millisecond}).Silence(); s != 3500*time.Microsecond {
		t.Errorf("3.5 characters of 1 ms: %v", s)
	}
	if s := (Spec{Type: "modbus_rtu", CharTime: 87 * time.Microsecond}).Silence(); s != 1750*time.Microsecond {
		t.Errorf("115200 baud: %v", s)
	}

	if s := (Spec{Type: "idle", Chars: 3.5, CharTime: 2 * time.Millisecond}).Silence(); s != 7*time.Millisecond {
		t.Errorf("3.5 characters of 2 ms: %v", s)
	}
	if s := (Spec{Type: "line", CharTime: time.Second}).Silence(); s != 0 {
		t.Errorf("line: %v", s)
	}
}
