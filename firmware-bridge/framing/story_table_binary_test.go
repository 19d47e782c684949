package framing

import (
	"strings"
	"time"
)

// sealed is p and its checksum.
func sealed(name, p string) string {
	c, err := newSum(&Spec{Checksum: name})
	if err != nil {
		panic(err)
	}
	out, err := c.seal(nil, []byte(p))
	if err != nil {
		panic(err)
	}
	return string(out)
}

func lengthRows() []row {
	plain := Spec{Type: "length", Width: 1, Max: 8}
	sirf := Spec{Type: "length", Header: []byte{0xa0, 0xa2}, Offset: 2, Width: 2, Mask: 0x7fff, Trailer: []byte{0xb0, 0xb3},
		Checksum: "sum15", SumFrom: 4, Max: 64}
	whole := sirf
	whole.Keep = true
	little := Spec{Type: "length", Header: []byte("#"), Offset: 3, Width: 2, Little: true, Adjust: -5, Keep: true, Max: 16}
	gap := Spec{Type: "length", Header: []byte("#"), Offset: 1, Width: 1, Max: 16, Gap: 20 * time.Millisecond}
	abc := "\xa0\xa2\x00\x03abc\x01\x26\xb0\xb3"
	return []row{
		{"whole and glued", plain, []step{{0, "\x03abc\x01d\x02e"}, {3, "f"}}, []string{"abc", "d", "ef"}, nil,
			Stats{Read: 9, InFrames: 6, Delimiters: 3}},
		{"torn inside the length", sirf, []step{{0, abc[:3]}, {4, abc[3:]}}, []string{"abc"}, nil,
			Stats{Read: 11, InFrames: 3, Delimiters: 8}},
		{"kept whole", whole, []step{{0, abc + abc}}, []string{abc, abc}, nil, Stats{Read: 22, InFrames: 22}},
		{"noise first", sirf, []step{{0, "xy\xa0"}, {1, abc}}, []string{"abc@1ms"}, ErrResync,
			Stats{Read: 14, InFrames: 3, Delimiters: 8, Bad: 3, BadFrames: 1}},
		{"a bit wrong costs that frame alone", sirf, []step{{0, strings.Replace(abc, "b", "B", 1) + abc}}, []string{"abc"},
			ErrChecksum, Stats{Read: 22, InFrames: 3, Delimiters: 8, Bad: 11, BadFrames: 1}},
		{"a wrong trailer", sirf, []step{{0, abc[:10] + "\xb4" + abc}}, []string{"abc"}, ErrMalformed,
			Stats{Read: 22, InFrames: 3, Delimiters: 8, Bad: 11, BadFrames: 1}},
		{"a byte lost costs that frame alone", sirf, []step{{0, abc[:5] + abc[6:] + abc + abc}}, []string{"abc", "abc"},
			ErrMalformed, Stats{Read: 32, InFrames: 6, Delimiters: 16, Bad: 10, BadFrames: 1}},
		{"a false header swallows nothing, and times stay", sirf, []step{{0, "\xa0\xa2\x00\x10"}, {2, abc}, {4, abc}},
			[]string{"abc@2ms", "abc@4ms"}, ErrMalformed, Stats{Read: 26, InFrames: 6, Delimiters: 16, Bad: 4, BadFrames: 1}},
		{"too long is no frame, and swallows nothing", sirf, []step{{0, "\xa0\xa2\x7f\xff" + abc}}, []string{"abc"}, ErrTooLong,
			Stats{Read: 15, InFrames: 3, Delimiters: 8, Bad: 4, BadFrames: 1}},
		{"bits outside the mask", sirf, []step{{0, "\xa0\xa2\x80" + abc[3:]}}, []string{"abc"}, nil,
			Stats{Read: 11, InFrames: 3, Delimiters: 8}},
		{"no payload is no frame", sirf, []step{{0, "\xa0\xa2\x00\x00\x00\x00\xb0\xb3" + abc}}, []string{"abc"}, nil,
			Stats{Read: 19, InFrames: 3, Delimiters: 16}},
		{"no payload, kept", whole, []step{{0, "\xa0\xa2\x00\x00\x00\x00\xb0\xb3"}}, []string{"\xa0\xa2\x00\x00\x00\x00\xb0\xb3"},
			nil, Stats{Read: 8, InFrames: 8}},
		{"low byte first, the whole frame counted", little, []step{{0, "#AB\x08\x00xyz#AB\x05\x00"}},
			[]string{"#AB\x08\x00xyz", "#AB\x05\x00"}, nil, Stats{Read: 13, InFrames: 13}},
		{"less than nothing", little, []step{{0, "#AB\x04\x00#AB\x06\x00x"}}, []string{"#AB\x06\x00x"}, ErrMalformed,
			Stats{Read: 11, InFrames: 6, Bad: 5, BadFrames: 1}},
		{"as long as may be", plain, []step{{0, "\x071234567\x08"}}, []string{"1234567"}, ErrTooLong,
			Stats{Read: 9, InFrames: 7, Delimiters: 1, Bad: 1, BadFrames: 1}},
		{"a silence breaks off", gap, []step{{0, "#\x05ab"}, {19, ""}, {20, ""}, {30, "#\x02xy"}}, []string{"xy@30ms"},
			ErrTruncated, Stats{Read: 8, InFrames: 2, Delimiters: 2, Bad: 4, BadFrames: 1}},
		{"a silence seen by the next chunk", gap, []step{{0, "#\x05ab"}, {30, "#\x02xy"}}, []string{"xy@30ms"}, ErrTruncated,
			Stats{Read: 8, InFrames: 2, Delimiters: 2, Bad: 4, BadFrames: 1}},
		{"a silence inside the length", gap, []step{{0, "#"}, {30, "#\x02xy"}}, []string{"xy@30ms"}, ErrTruncated,
			Stats{Read: 5, InFrames: 2, Delimiters: 2, Bad: 1, BadFrames: 1}},
		{"a silence of its own choice", sirf, []step{{0, abc[:5]}, {2999, ""}, {3000, ""}, {3001, abc}}, []string{"abc@3.001s"},
			ErrTruncated, Stats{Read: 16, InFrames: 3, Delimiters: 8, Bad: 5, BadFrames: 1}},
		{"nobody asked in between: the rest may have waited", sirf, []step{{0, abc[:5]}, {9000, abc[5:]}}, []string{"abc"}, nil,
			Stats{Read: 11, InFrames: 3, Delimiters: 8}},
		{"pending", sirf, []step{{0, abc[:10]}}, nil, nil, Stats{Read: 10, Pending: 10}},
	}
}

func summedRows() []row {
	fixed := Spec{Type: "fixed", Size: 6, Header: []byte("#"), Checksum: "crc16/ccitt"}
	bare := Spec{Type: "fixed", Size: 6, Checksum: "crc32"}
	good, other := sealed("crc16/ccitt", "#abc"), sealed("crc16/ccitt", "#xyz")
	line := Spec{Type: "line", Max: 8, Checksum: "xor8"}
	etb := Spec{Type: "delimiter", Max: 8, Bytes: []byte("\x17"), Checksum: "sum8"}
	kept := Spec{Type: "delimiter", Max: 8, Bytes: []byte("\x17"), Checksum: "sum8", Keep: true}
	idle := Spec{Type: "idle", Max: 8, Gap: 20 * time.Millisecond, Checksum: "sum16"}
	return []row{
		{"checked", fixed, []step{{0, good + other}}, []string{"#abc", "#xyz"}, nil, Stats{Read: 12, InFrames: 8, Delimiters: 4}},
		{"a byte lost costs that frame alone", fixed, []step{{0, good[:3] + good[4:] + other}}, []string{"#xyz"}, ErrChecksum,
			Stats{Read: 11, InFrames: 4, Delimiters: 2, Bad: 5, BadFrames: 1}},
		{"a checksum is all that resyncs", bare, []step{{0, "noise" + sealed("crc32", "ab")}, {4, sealed("crc32", "cd")}},
			[]string{"ab", "cd@4ms"}, ErrChecksum, Stats{Read: 17, InFrames: 4, Delimiters: 8, Bad: 5, BadFrames: 1}},
		{"checked", line, []step{{0, sealed("xor8", "abc") + "\r\n" + "abc?\n" + sealed("xor8", "q") + "\n"}},
			[]string{"abc", "q"}, ErrChecksum, Stats{Read: 14, InFrames: 4, Delimiters: 6, Bad: 4, BadFrames: 1}},
		{"checked", etb, []step{{0, sealed("sum8", "abc") + "\x17" + "abc?\x17" + "\x00\x17"}}, []string{"abc"}, ErrChecksum,
			Stats{Read: 12, InFrames: 3, Delimiters: 5, Bad: 4, BadFrames: 1}},
		{"checked and kept", kept, []step{{0, sealed("sum8", "abc") + "\x17"}}, []string{sealed("sum8", "abc") + "\x17"}, nil,
			Stats{Read: 5, InFrames: 5}},
		{"checked", idle, []step{{0, sealed("sum16", "abc")}, {20, "bad"}, {40, ""}}, []string{"abc"}, ErrChecksum,
			Stats{Read: 8, InFrames: 3, Delimiters: 2, Bad: 3, BadFrames: 1}},
	}
}

func cobsRows() []row {
	cobs := Spec{Type: "cobs", Max: 300}
	small := Spec{Type: "cobs", Max: 6}
	crc := Spec{Type: "cobs", Max: 300, Checksum: "crc16/modbus"}
	long := strings.Repeat("x", 254)
	return []row{
		// the examples of the paper and of Wikipedia
		{"a zero", cobs, []step{{0, "\x01\x01\x00"}}, []string{"\x00"}, nil, Stats{Read: 3, InFrames: 1, Delimiters: 2}},
		{"two zeros", cobs, []step{{0, "\x01\x01\x01\x00"}}, []string{"\x00\x00"}, nil,
			Stats{Read: 4, InFrames: 2, Delimiters: 2}},
		{"a zero inside", cobs, []step{{0, "\x03\x11\x22\x02\x33\x00"}}, []string{"\x11\x22\x00\x33"}, nil,
			Stats{Read: 6, InFrames: 4, Delimiters: 2}},
		{"zeros at the end", cobs, []step{{0, "\x02\x11\x01\x01\x01\x00"}}, []string{"\x11\x00\x00\x00"}, nil,
			Stats{Read: 6, InFrames: 4, Delimiters: 2}},
		{"a full block", cobs, []step{{0, "\xff" + long + "\x00"}}, []string{long}, nil,
			Stats{Read: 256, InFrames: 254, Delimiters: 2}},
		{"a full block and one", cobs, []step{{0, "\xff" + long + "\x02y\x00"}}, []string{long + "y"}, nil,
			Stats{Read: 258, InFrames: 255, Delimiters: 3}},
		{"a full block and a zero", cobs, []step{{0, "\xff" + long + "\x01\x01\x00"}}, []string{long + "\x00"}, nil,
			Stats{Read: 258, InFrames: 255, Delimiters: 3}},
		{"torn and glued", cobs, []step{{0, "\x02"}, {3, "a\x00\x02b"}, {5, "\x00"}}, []string{"a", "b@3ms"}, nil,
			Stats{Read: 6, InFrames: 2, Delimiters: 4}},
		{"zeros between", cobs, []step{{0, "\x00\x00\x02a\x00\x00"}}, []string{"a"}, nil,
			Stats{Read: 6, InFrames: 1, Delimiters: 5}},
		{"empty is none", cobs, []step{{0, "\x01\x00"}}, nil, nil, Stats{Read: 2, Delimiters: 2}},
		{"noise costs the frame it runs into", cobs, []step{{0, "\x09zz\x02a\x00\x02b\x00"}}, []string{"b"}, ErrMalformed,
			Stats{Read: 9, InFrames: 1, Delimiters: 3, Bad: 5, BadFrames: 1}},
		{"too long", small, []step{{0, "\x08abcdefg\x00\x07abcdef\x00"}}, []string{"abcdef"}, ErrTooLong,
			Stats{Read: 17, InFrames: 6, Delimiters: 3, Bad: 8, BadFrames: 1}},
		{"too long, in pieces", small, []step{{0, "\x08abcdef"}, {1, "g"}, {2, "h"}, {3, "\x00\x07abcdef\x00"}},
			[]string{"abcdef@3ms"}, ErrTooLong, Stats{Read: 18, InFrames: 6, Delimiters: 3, Bad: 9, BadFrames: 1}},
		{"checked", crc, []step{{0, "\x05ab\xc9\x11\x00\x05ab\xc9\x12\x00\x01\x00"}}, nil, ErrChecksum,
			Stats{Read: 14, Delimiters: 4, Bad: 10, BadFrames: 2}},
	}
}

func slipRows() []row {
	slip := Spec{Type: "slip", Max: 6}
	crc := Spec{Type: "slip", Max: 6, Checksum: "xor8"}
	return []row{
		{"whole", slip, []step{{0, "\xc0abc\xc0"}}, []string{"abc"}, nil, Stats{Read: 5, InFrames: 3, Delimiters: 2}},
		{"stuffed", slip, []step{{0, "a\xdb\xdc\xdb\xddb\xc0"}}, []string{"a\xc0\xdbb"}, nil,
			Stats{Read: 7, InFrames: 4, Delimiters: 3}},
		{"torn inside the stuffing, glued", slip, []step{{0, "a\xdb"}, {3, "\xdcb\xc0c"}, {5, "\xc0"}},
			[]string{"a\xc0b", "c@3ms"}, nil, Stats{Read: 7, InFrames: 4, Delimiters: 3}},
		{"empty is none", slip, []step{{0, "\xc0\xc0\xc0"}}, nil, nil, Stats{Read: 3, Delimiters: 3}},
		{"a violation", slip, []step{{0, "a\xdbb\xc0ok\xc0"}}, []string{"ok"}, ErrMalformed,
			Stats{Read: 7, InFrames: 2, Delimiters: 2, Bad: 3, BadFrames: 1}},
		{"broken off inside the stuffing", slip, []step{{0, "a\xdb\xc0ok\xc0"}}, []string{"ok"}, ErrMalformed,
			Stats{Read: 6, InFrames: 2, Delimiters: 2, Bad: 2, BadFrames: 1}},
		{"as long as may be, all stuffed", slip, []step{{0, strings.Repeat("\xdb\xdc", 6) + "\xc0"}},
			[]string{strings.Repeat("\xc0", 6)}, nil, Stats{Read: 13, InFrames: 6, Delimiters: 7}},
		{"too long", slip, []step{{0, "1234567\xc0ok\xc0"}}, []string{"ok"}, ErrTooLong,
			Stats{Read: 11, InFrames: 2, Delimiters: 2, Bad: 7, BadFrames: 1}},
		{"far too long, bad once", slip, []step{{0, strings.Repeat("x", 20)}, {1, strings.Repeat("y", 20)}, {2, "z\xc0ok\xc0"}},
			[]string{"ok@2ms"}, ErrTooLong, Stats{Read: 45, InFrames: 2, Delimiters: 2, Bad: 41, BadFrames: 1}},
		{"checked", crc, []step{{0, "ab\x03\xc0ab\x04\xc0"}}, []string{"ab"}, ErrChecksum,
			Stats{Read: 8, InFrames: 2, Delimiters: 3, Bad: 3, BadFrames: 1}},
	}
}

func enclosedRows() []row {
	plain := Spec{Type: "stx_etx", Max: 6}
	bcc := Spec{Type: "stx_etx", Max: 6, Checksum: "xor8"}
	all := Spec{Type: "stx_etx", Max: 6, Checksum: "xor8", SumOver: "all"}
	bare := Spec{Type: "stx_etx", Max: 6, Checksum: "lrc", SumOver: "payload", DLE: true}
	stuffed := Spec{Type: "stx_etx", Max: 6, DLE: true}
	return []row{
		{"whole and glued", plain, []step{{0, "\x02abc\x03\x02d\x03\x02"}, {4, "e\x03"}}, []string{"abc", "d", "e"}, nil,
			Stats{Read: 11, InFrames: 5, Delimiters: 6}},
		{"noise between", plain, []step{{0, "\x02abc\x03\r\nx"}, {2, "\x02d\x03"}}, []string{"abc", "d@2ms"}, ErrResync,
			Stats{Read: 11, InFrames: 4, Delimiters: 4, Bad: 3, BadFrames: 1}},
		{"torn by the next", plain, []step{{0, "\x02ab"}, {2, "\x02cd\x03"}}, []string{"cd@2ms"}, ErrTruncated,
			Stats{Read: 7, InFrames: 2, Delimiters: 2, Bad: 3, BadFrames: 1}},
		{"empty is none", plain, []step{{0, "\x02\x03"}}, nil, nil, Stats{Read: 2, Delimiters: 2}},
		{"too long", plain, []step{{0, "\x021234567\x03\x02ok\x03"}}, []string{"ok"}, ErrTooLong,
			Stats{Read: 13, InFrames: 2, Delimiters: 2, Bad: 9, BadFrames: 1}},
		{"as long as may be", plain, []step{{0, "\x02123456"}, {1, "\x03"}}, []string{"123456"}, nil,
			Stats{Read: 8, InFrames: 6, Delimiters: 2}},
		{"checked, with the ETX", bcc, []step{{0, "\x02ab\x03\x00"}, {1, "\x02ab\x03\x01"}}, []string{"ab"}, ErrChecksum,
			Stats{Read: 10, InFrames: 2, Delimiters: 3, Bad: 5, BadFrames: 1}},
		{"torn before the check", bcc, []step{{0, "\x02ab\x03"}, {3, "\x00"}}, []string{"ab"}, nil,
			Stats{Read: 5, InFrames: 2, Delimiters: 3}},
		{"a lost check costs no other frame", bcc, []step{{0, "\x02ab\x03\x02ab\x03\x00"}}, []string{"ab"}, ErrChecksum,
			Stats{Read: 9, InFrames: 2, Delimiters: 3, Bad: 4, BadFrames: 1}},
		{"a check that looks like STX", bcc, []step{{0, "\x02\x21\x20\x03\x02\x02b\x03\x61"}}, []string{"\x21\x20", "b"}, nil,
			Stats{Read: 9, InFrames: 3, Delimiters: 6}},
		{"checked, with the STX", all, []step{{0, "\x02ab\x03\x02"}}, []string{"ab"}, nil,
			Stats{Read: 5, InFrames: 2, Delimiters: 3}},
		{"stuffed", stuffed, []step{{0, "\x10\x02a\x10\x10\x02\x03\x10\x03"}}, []string{"a\x10\x02\x03"}, nil,
			Stats{Read: 9, InFrames: 4, Delimiters: 5}},
		{"stuffed, torn everywhere", stuffed, []step{{0, "\x10"}, {1, "\x02a\x10"}, {2, "\x10b\x10"}, {3, "\x03"}},
			[]string{"a\x10b"}, nil, Stats{Read: 8, InFrames: 3, Delimiters: 5}},
		{"stuffed, torn by the next", stuffed, []step{{0, "\x10\x02ab\x10\x02cd\x10\x03"}}, []string{"cd"}, ErrTruncated,
			Stats{Read: 10, InFrames: 2, Delimiters: 4, Bad: 4, BadFrames: 1}},
		{"a DLE that means nothing", stuffed, []step{{0, "\x10\x02a\x10b\x10\x03\x10\x02c\x10\x03"}}, []string{"c"}, ErrMalformed,
			Stats{Read: 12, InFrames: 1, Delimiters: 4, Bad: 7, BadFrames: 1}},
		{"stuffed, too long", stuffed, []step{{0, "\x10\x02" + strings.Repeat("\x10\x10", 7) + "\x10\x03\x10\x02c\x10\x03"}},
			[]string{"c"}, ErrTooLong, Stats{Read: 23, InFrames: 1, Delimiters: 4, Bad: 18, BadFrames: 1}},
		{"stuffed and checked without the ETX", bare, []step{{0, "\x10\x02a\x10\x10\x10\x03\x8f"}}, []string{"a\x10"}, nil,
			Stats{Read: 8, InFrames: 2, Delimiters: 6}},
	}
}

func rtuRows() []row {
	rtu := Spec{Type: "modbus_rtu"} // silences of 1.75 ms and 50 ms
	keep := Spec{Type: "modbus_rtu", Keep: true}
	slow := Spec{Type: "modbus_rtu", CharTime: 1146 * time.Microsecond} // 9600 baud
	ask := sealed("crc16/modbus", "\x01\x03\x00\x00\x00\x02")
	answer := sealed("crc16/modbus", "\x01\x03\x04\x00\x01\x00\x02")
	odd := sealed("crc16/modbus", "\x05\x65hello")
	long := sealed("crc16/modbus", "\x01\x06\x00\x01\x00\x02\x00\x03") // longer than its function has it
	n, m, o, l := int64(len(ask)), int64(len(answer)), int64(len(odd)), int64(len(long))
	stats := func(read, in, bad, badFrames, frames int64) Stats {
		return Stats{Read: read, InFrames: in, Delimiters: 2 * frames, Bad: bad, BadFrames: badFrames}
	}
	return []row{
		{"whole", rtu, []step{{0, ask}, {1, ""}, {2, ""}}, []string{ask[:6]}, nil, stats(n, n-2, 0, 0, 1)},
		{"kept", keep, []step{{0, ask}, {2, ""}}, []string{ask}, nil, Stats{Read: n, InFrames: n}},
		{"waits for the silence", rtu, []step{{0, ask}, {1, ""}}, nil, nil, Stats{Read: n, Pending: n}},
		{"silence seen by the next chunk", rtu, []step{{0, ask}, {5, answer}, {7, ""}}, []string{ask[:6], answer[:7] + "@5ms"},
			nil, stats(n+m, n+m-4, 0, 0, 2)},
		{"torn by an adapter", rtu, []step{{0, answer[:3]}, {16, ""}, {16, answer[3:5]}, {32, answer[5:]}, {34, ""}},
			[]string{answer[:7]}, nil, stats(m, m-2, 0, 0, 1)},
		{"glued by an adapter", rtu, []step{{0, ask + answer}, {2, ""}}, []string{ask[:6], answer[:7]}, nil,
			stats(n+m, n+m-4, 0, 0, 2)},
		{"glued beyond a frame's size", rtu, []step{{0, strings.Repeat(ask, 40)}, {2, ""}}, repeated(ask[:6], 40), nil,
			stats(40*n, 40*n-80, 0, 0, 40)},
		{"a late reader is no silence", slow, []step{{0, answer[:2]}, {8, answer[2:]}, {13, ""}}, []string{answer[:7]}, nil,
			stats(m, m-2, 0, 0, 1)},
		{"a function of its own", rtu, []step{{0, odd}, {2, ""}}, []string{odd[:7]}, nil, stats(o, o-2, 0, 0, 1)},
		{"a length of its own, late", rtu, []step{{0, long}, {2, ""}, {49, ""}, {50, ""}}, []string{long[:8]}, nil,
			stats(l, l-2, 0, 0, 1)},
		{"a length of its own, and the next", rtu, []step{{0, long}, {2, ""}, {9, ask}, {11, ""}},
			[]string{long[:8], ask[:6] + "@9ms"}, nil, stats(n+l, n+l-4, 0, 0, 2)},
		{"zeros behind a frame", rtu, []step{{0, ask + "\x00\x00"}, {2, ""}, {50, ""}}, []string{ask[:6]}, ErrChecksum,
			stats(n+2, n-2, 2, 1, 1)},
		{"noise runs into a frame, the next waits", rtu, []step{{0, "\xff\x00" + ask}, {2, ""}, {9, ask}, {11, ""}},
			[]string{ask[:6], ask[:6] + "@9ms"}, ErrChecksum, stats(2*n+2, 2*n-4, 2, 1, 2)},
		{"noise, then a frame behind a silence", rtu, []step{{0, "\xff\x01"}, {5, odd}, {7, ""}}, []string{odd[:7] + "@5ms"},
			ErrChecksum, stats(o+2, o-2, 2, 1, 1)},
		{"noise and a torn frame", rtu, []step{{0, "\xff\x01"}, {5, odd[:3]}, {15, odd[3:]}, {17, ""}},
			[]string{odd[:7] + "@5ms"}, ErrChecksum, stats(o+2, o-2, 2, 1, 1)},
		{"noise runs into a frame", rtu, []step{{0, "\xff\x00" + ask}, {2, ""}, {50, ""}}, []string{ask[:6]}, ErrChecksum,
			stats(n+2, n-2, 2, 1, 1)},
		{"noise behind a frame", rtu, []step{{0, ask + "\xff\x00"}, {2, ""}, {50, ""}}, []string{ask[:6]}, ErrChecksum,
			stats(n+2, n-2, 2, 1, 1)},
		{"the rest of a frame never comes", rtu, []step{{0, answer[:5]}, {2, ""}, {50, ""}, {60, ask}, {62, ""}},
			[]string{ask[:6] + "@60ms"}, ErrChecksum, stats(n+5, n-2, 5, 1, 1)},
		{"endless noise holds no more than a frame", rtu, []step{{0, strings.Repeat("\xff", 5000)}, {50, ""}}, nil, ErrChecksum,
			stats(5000, 0, 5000, 1, 0)},
	}
}

func repeated(s string, n int) (all []string) {
	for range n {
		all = append(all, s)
	}
	return all
}

func nmeaRows() []row {
	nmea := Spec{Type: "nmea", Max: 40}
	gp, ais := "$GPGLL,1*4D", "!AIVDM,2*49"
	return []row{
		{"both starts and line ends", nmea, []step{{0, gp + "\r\n" + ais + "\n"}}, []string{gp, ais}, nil,
			Stats{Read: 25, InFrames: 22, Delimiters: 3}},
		{"digits in lower case", nmea, []step{{0, "$GPGLL,1*4d\n"}}, []string{"$GPGLL,1*4d"}, nil,
			Stats{Read: 12, InFrames: 11, Delimiters: 1}},
		{"torn", nmea, []step{{0, gp[:4]}, {2, gp[4:] + "\r"}, {3, "\n" + ais + "\n"}}, []string{gp, ais + "@3ms"}, nil,
			Stats{Read: 25, InFrames: 22, Delimiters: 3}},
		{"a wrong checksum", nmea, []step{{0, "$GPGLL,2*4D\r\n" + gp + "\r\n"}}, []string{gp}, ErrChecksum,
			Stats{Read: 26, InFrames: 11, Delimiters: 3, Bad: 12, BadFrames: 1}},
		{"no checksum", nmea, []step{{0, "$GPGLL,1\n"}}, nil, ErrChecksum, Stats{Read: 9, Delimiters: 1, Bad: 8, BadFrames: 1}},
		{"no sentence", nmea, []step{{0, "# a remark\n\r\n"}}, nil, ErrResync,
			Stats{Read: 13, Delimiters: 3, Bad: 10, BadFrames: 1}},
		{"noise before it costs nothing", nmea, []step{{0, "\x00\xff$G"}, {2, gp + "\n"}}, []string{gp + "@2ms"}, ErrResync,
			Stats{Read: 16, InFrames: 11, Delimiters: 1, Bad: 4, BadFrames: 1}},
		{"two without a line end between", nmea, []step{{0, gp + ais + "\n"}}, []string{ais}, ErrResync,
			Stats{Read: 23, InFrames: 11, Delimiters: 1, Bad: 11, BadFrames: 1}},
		{"a start inside", nmea, []step{{0, "$GPTXT,wow!*2D\n"}}, []string{"$GPTXT,wow!*2D"}, nil,
			Stats{Read: 15, InFrames: 14, Delimiters: 1}},
		{"a tag block", nmea, []step{{0, "\\s:a*28\\" + ais + "\n"}}, []string{"\\s:a*28\\" + ais}, nil,
			Stats{Read: 20, InFrames: 19, Delimiters: 1}},
		{"a bad tag block", nmea, []step{{0, "\\s:a*29\\" + ais + "\n"}}, []string{ais}, ErrResync,
			Stats{Read: 20, InFrames: 11, Delimiters: 1, Bad: 8, BadFrames: 1}},
		{"too long", nmea, []step{{0, strings.Repeat("$", 60)}, {1, "\n" + gp + "\n"}}, []string{gp + "@1ms"}, ErrTooLong,
			Stats{Read: 73, InFrames: 11, Delimiters: 2, Bad: 60, BadFrames: 1}},
	}
}
