package framing

import (
	"slices"
	"testing"
	"time"
)

// fuzzed are framings of every kind, with short frames.
func fuzzed() []Spec {
	gap := 3 * time.Millisecond
	return []Spec{
		{Type: "line", Max: 16},
		{Type: "delimiter", Max: 16, Bytes: []byte("\r\n")},
		{Type: "delimiter", Max: 16, Bytes: []byte("aab"), Keep: true},
		{Type: "idle", Max: 16, Gap: gap},
		{Type: "idle", Max: 16, Chars: 3.5, CharTime: time.Millisecond},
		{Type: "fixed", Size: 7},
		{Type: "fixed", Size: 7, Header: []byte("\xaa\xaa\x55")},
		{Type: "line", Max: 16, Checksum: "sum8"},
		{Type: "delimiter", Max: 16, Bytes: []byte("\x17"), Checksum: "xor8", Keep: true},
		{Type: "idle", Max: 16, Gap: gap, Checksum: "lrc"},
		{Type: "fixed", Size: 7, Header: []byte("a"), Checksum: "xor8", SumFrom: 1},
		{Type: "fixed", Size: 7, Checksum: "sum8", Keep: true, Gap: gap},
		{Type: "length", Width: 1, Max: 16},
		{Type: "length", Width: 2, Little: true, Header: []byte("#a"), Offset: 3, Adjust: -5, Keep: true, Max: 16},
		{Type: "length", Width: 1, Header: []byte("#"), Offset: 1, Max: 16, Gap: gap},
		{Type: "length", Width: 2, Mask: 0x3ff, Header: []byte("aab"), Offset: 3, Trailer: []byte("z"), Checksum: "sum8",
			SumFrom: 5, Max: 16},
		{Type: "length", Width: 4, Checksum: "crc32", SumLittle: true, Max: 40, Keep: true},
		{Type: "cobs", Max: 16},
		{Type: "cobs", Max: 16, Checksum: "sum8"},
		{Type: "slip", Max: 16},
		{Type: "slip", Max: 16, Checksum: "crc16/ccitt", Keep: true},
		{Type: "stx_etx", Max: 16},
		{Type: "stx_etx", Max: 16, Checksum: "xor8"},
		{Type: "stx_etx", Max: 16, DLE: true},
		{Type: "stx_etx", Max: 16, DLE: true, Checksum: "lrc", SumOver: "all"},
		{Type: "modbus_rtu", Max: 16},
		{Type: "modbus_rtu", CharTime: time.Millisecond, Gap: 20 * time.Millisecond, Keep: true},
		{Type: "nmea", Max: 16},
	}
}

// mostHeld bounds what a framer may hold, and the frames that it gives.
func mostHeld(s Spec) (held, frame int) {
	s.Max = max(s.Max, s.Size)
	if s.Max == 0 {
		s.Max = DefaultMax
	}
	switch s.Type {
	case "delimiter":
		return s.Max + len(s.Bytes), s.Max + len(s.Bytes)
	case "slip":
		return 2 * s.Max, s.Max
	case "stx_etx":
		return 2*s.Max + 16, s.Max
	case "modbus_rtu":
		return min(s.Max, 256), min(s.Max, 256)
	}
	return s.Max + s.Max/254 + 2, s.Max
}

// pour feeds data in chunks of any size at any pace, each told by a byte of pace, and waits when there is nothing more.
func pour(t testing.TB, fr Framer, spec Spec, pace, data []byte) (frames []got) {
	t.Helper()
	held, longest := mostHeld(spec)
	now := t0()
	for i := 0; len(data) > 0; i++ {
		n := 1
		if len(pace) > 0 {
			p := pace[i%len(pace)]
			n = int(p%32) + 1
			now = now.Add(time.Duration(p/32) * time.Millisecond)
		}
		n = min(n, len(data))
		fr.Feed(now, data[:n])
		data = data[n:]
		out, _ := drain(t, fr, now)
		for _, g := range out {
			if len(g.data) > longest || g.start.After(now) {
				t.Fatalf("frame %q of %v at %v", g.data, g.start, now)
			}
		}
		frames = append(frames, out...)
		if s := fr.Stats(); s.Pending > int64(held) || s.Frames != int64(len(frames)) {
			t.Fatalf("%d frames came out, %+v, and at most %d may wait", len(frames), s, held)
		}
		if wake := fr.Wake(); !wake.IsZero() && wake.Before(now) {
			t.Fatalf("wakes at %v, before %v", wake, now)
		}
	}
	if ended := len(pace)%2 == 1; ended {
		fr.End()
		out, _ := drain(t, fr, now)
		frames = append(frames, out...)
		if !fr.Wake().IsZero() {
			t.Fatalf("waits until %v after its end", fr.Wake())
		}
	}
	return append(frames, rest(t, fr)...)
}

// rest asks whenever the framer wants to be asked, until it does not any more.
func rest(t testing.TB, fr Framer) (frames []got) {
	for !fr.Wake().IsZero() {
		before := fr.Wake()
		out, _ := drain(t, fr, before)
		frames = append(frames, out...)
		if after := fr.Wake(); !after.IsZero() && !after.After(before) {
			t.Fatalf("asked at %v, wants to be asked at %v", before, after)
		}
	}
	return frames
}

// timeless is true where no silence as short as those of pour means anything, so that only the bytes count.
func timeless(s Spec) bool { return s.Gap == 0 && s.Chars == 0 && s.Type != "modbus_rtu" }

// fuzzKind feeds anything: the counters balance, memory is bounded, no frame is empty or longer than it may be, and the chunks
// change nothing.
func fuzzKind(f *testing.F, kind string) {
	var specs []Spec
	for _, s := range fuzzed() {
		if s.Type != kind {
			continue
		}
		specs = append(specs, s)
		fr := mustNew(f, s)
		for _, p := range []string{"abc", "a\x10b", "#abcdef", "$a,b", "\x01\x03\x00\x01\x00\x02", "abcdefgh", "aabcdef"} {
			if out, err := fr.Encode(nil, []byte(p)); err == nil {
				f.Add(byte(len(specs)-1), []byte{1, 250}, slices.Concat(out, out[1:], out))
			}
		}
	}
	f.Add(byte(0), []byte{3, 1}, []byte("abc\r\n\n0123456789abcdef\r\n0123456789abcdefg\n"))
	f.Add(byte(1), []byte{2, 200}, []byte("xaaabaabaa"))
	f.Add(byte(1), []byte{1, 60}, []byte("\xaa\xaa\xaa\x55abcd\xaa\xaax\xaa\xaa\x55efgh"))
	f.Fuzz(func(t *testing.T, which byte, pace, data []byte) {
		spec := specs[int(which)%len(specs)]
		pieces, whole := mustNew(t, spec), mustNew(t, spec)
		out := pour(t, pieces, spec, pace, data)
		if !timeless(spec) {
			return
		}
		whole.Feed(t0(), data)
		inOne, _ := drain(t, whole, t0())
		inOne = append(inOne, rest(t, whole)...)
		if !slices.Equal(texts(out), texts(inOne)) || whole.Stats() != pieces.Stats() {
			t.Fatalf("%+v: in pieces %q %+v, in one %q %+v", spec, texts(out), pieces.Stats(), texts(inOne), whole.Stats())
		}
	})
}

func FuzzLine(f *testing.F)      { fuzzKind(f, "line") }
func FuzzDelimiter(f *testing.F) { fuzzKind(f, "delimiter") }
func FuzzIdle(f *testing.F)      { fuzzKind(f, "idle") }
func FuzzFixed(f *testing.F)     { fuzzKind(f, "fixed") }
func FuzzLength(f *testing.F)    { fuzzKind(f, "length") }
func FuzzCOBS(f *testing.F)      { fuzzKind(f, "cobs") }
func FuzzSLIP(f *testing.F)      { fuzzKind(f, "slip") }
func FuzzEnclosed(f *testing.F)  { fuzzKind(f, "stx_etx") }
func FuzzRTU(f *testing.F)       { fuzzKind(f, "modbus_rtu") }
func FuzzNMEA(f *testing.F)      { fuzzKind(f, "nmea") }

// FuzzEncode: no payload makes Encode write more than one frame.
func FuzzEncode(f *testing.F) {
	f.Add(byte(0), []byte("abc"))
	f.Add(byte(0), []byte("a\nb"))
	f.Add(byte(2), []byte("xa"))
	f.Add(byte(6), []byte("\xaa\xaa\x55abcd"))
	for i := range fuzzed() {
		f.Add(byte(i), []byte("a\x10b\xc0\x00\xdb"))
		f.Add(byte(i), []byte("$GPGLL"))
	}
	f.Fuzz(func(t *testing.T, kind byte, payload []byte) {
		spec := fuzzed()[int(kind)%len(fuzzed())]
		fr := mustNew(t, spec)
		out, err := fr.Encode(nil, payload)
		if err != nil {
			if len(out) != 0 {
				t.Fatalf("error %v and %d bytes", err, len(out))
			}
			return
		}
		if spec.Type == "modbus_rtu" && !fits(out) {
			return // what a function says of its length may be right by accident too
		}
		fr.Feed(t0(), out)
		frames, bad := drain(t, fr, t0())
		more, bad2 := drain(t, fr, t0().Add(time.Hour))
		if n := len(frames) + len(more); n > 1 || len(bad)+len(bad2) > 0 || fr.Stats().Pending > 0 {
			t.Fatalf("%q became %d frames, %v %v, %+v", payload, n, bad, bad2, fr.Stats())
		}
	})
}
