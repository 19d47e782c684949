package framing

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// alphabet has what every kind takes for something.
func alphabet() []byte { return []byte("ab#$*z\r\n\x00\x01\x02\x03\x10\x17\xaa\x55\xc0\xdb\xdc\xff") }

// drawPayload draws what Encode of spec takes, mostly.
func drawPayload(t *rapid.T, s Spec) []byte {
	p := rapid.SliceOfN(rapid.SampledFrom(alphabet()), 1, 9).Draw(t, "payload")
	switch s.Type {
	case "fixed":
		want := s.Size
		if s.Checksum != "" {
			want--
		}
		p = append(slices.Clone(s.Header), slices.Repeat(p, s.Size)...)[:want]
	case "length":
		if !s.Keep {
			return p
		}
		bare := Spec{Type: s.Type, Width: s.Width, Mask: s.Mask, Little: s.Little, Adjust: s.Adjust}
		if s.Offset > 0 {
			bare.Header, bare.Offset = append(slices.Clone(s.Header), p[0]), s.Offset
		}
		var err error
		if p, err = newOrFatal(t, bare).Encode(nil, p); err != nil {
			t.Fatal(err)
		}
	case "nmea":
		p = append([]byte("$"), p...)
	case "modbus_rtu":
		p = append([]byte{17, 0x65}, p...) // a function of the maker's own, of any length
		if len(p) == 6 {
			p[1] = 6 // write one register
		}
	}
	if s.Keep && s.Checksum != "" || s.Keep && s.Type == "modbus_rtu" {
		if s.Type == "modbus_rtu" {
			s.Checksum = "crc16/modbus"
		}
		s.Keep = false
		c, err := newSum(&s)
		if err != nil {
			t.Fatal(err)
		}
		p, _ = c.seal(nil, p)
	}
	return p
}

// drawEncoded is a payload, how it travels, and how it comes out; nil when Encode refuses it.
func drawEncoded(t *rapid.T, f Framer, s Spec) (line []byte, frame string) {
	p := drawPayload(t, s)
	line, err := f.Encode(nil, p)
	if err != nil {
		return nil, ""
	}
	switch {
	case s.Type == "line" && s.Checksum == "":
		if p = line[:len(line)-1]; len(p) > 0 && p[len(p)-1] == '\r' {
			p = p[:len(p)-1]
		}
	case s.Type == "line":
		p = line[:len(line)-2] // one byte of checksum
	case s.Type == "delimiter" && len(line) == len(s.Bytes):
		p = nil // a bare one
	case s.Type == "delimiter" && s.Keep:
		p = line
	case s.Type == "delimiter": // without a checksum
		p = line[:len(line)-len(s.Bytes)]
	case s.Type == "nmea":
		p = line[:len(line)-2]
	}
	return line, string(p)
}

// Frames and noise in any order, cut anyhow: the same frames, the same counters, the same times.
func TestAnySplitOfFramesAndNoise(t *testing.T) {
	specs := slices.DeleteFunc(fuzzed(), func(s Spec) bool { return !timeless(s) })
	rapid.Check(t, func(t *rapid.T) {
		spec := rapid.SampledFrom(specs).Draw(t, "spec")
		f := newOrFatal(t, spec)
		var data []byte
		for range rapid.IntRange(1, 8).Draw(t, "parts") {
			part, _ := drawEncoded(t, f, spec)
			if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
				part = rapid.SliceOfN(rapid.SampledFrom(alphabet()), 1, 20).Draw(t, "noise")
			}
			data = append(data, part...)
		}
		single, pieces, whole := f, newOrFatal(t, spec), newOrFatal(t, spec)
		var bytewise, out []got
		var fedAt []time.Time // of each byte, in pieces
		for i, b := range data {
			single.Feed(at(i), []byte{b})
			frames, _ := drain2(t, single, at(i))
			bytewise = append(bytewise, frames...)
		}
		for rest := data; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "chunk")
			now := at(len(fedAt))
			pieces.Feed(now, rest[:n])
			fedAt = append(fedAt, slices.Repeat([]time.Time{now}, n)...)
			rest = rest[n:]
			frames, _ := drain2(t, pieces, now)
			out = append(out, frames...)
		}
		whole.Feed(t0(), data)
		inOne, _ := drain2(t, whole, t0())
		if !slices.Equal(texts(inOne), texts(out)) || !slices.Equal(texts(inOne), texts(bytewise)) {
			t.Fatalf("%q: in one %q, in pieces %q, byte by byte %q", data, texts(inOne), texts(out), texts(bytewise))
		}
		if whole.Stats() != pieces.Stats() || whole.Stats() != single.Stats() {
			t.Fatalf("%q: in one %+v, in pieces %+v, byte by byte %+v", data, whole.Stats(), pieces.Stats(), single.Stats())
		}
		for i, g := range out {
			if first := int(bytewise[i].start.Sub(t0()).Milliseconds()); !g.start.Equal(fedAt[first]) {
				t.Fatalf("frame %d starts at %v, its first byte was fed at %v", i, g.start, fedAt[first])
			}
		}
	})
}

// What Encode lets through comes out of Feed as it went in, glued or torn, however many: nothing is lost, nothing is bad. Where
// silence separates there is one between the frames, and a shorter one anywhere inside.
func TestCleanFramesAllComeOut(t *testing.T) {
	for _, kind := range Types() {
		specs := slices.DeleteFunc(fuzzed(), func(s Spec) bool { return s.Type != kind })
		tried := 0
		t.Run(kind, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { tried += cleanFrames(t, rapid.SampledFrom(specs).Draw(t, "spec")) })
		})
		if tried < 100 {
			t.Errorf("only %d frames of %s were tried", tried, kind)
		}
	}
}

func cleanFrames(t *rapid.T, spec Spec) (tried int) {
	f := newOrFatal(t, spec)
	now := t0()
	var want []string
	var out []got
	for range rapid.IntRange(1, 6).Draw(t, "frames") {
		line, frame := drawEncoded(t, f, spec)
		if line == nil {
			continue
		}
		if frame != "" {
			want = append(want, frame)
		}
		between, inside := max(spec.Silence(), spec.Gap), time.Millisecond
		if spec.Type == "modbus_rtu" {
			between = spec.Silence()
			if line[1] == 6 {
				inside = 16 * time.Millisecond // an adapter tears it, but its length is known
			}
		}
		for len(line) > 0 {
			n := rapid.IntRange(1, len(line)).Draw(t, "chunk")
			now = now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "pause"))*inside/10 + time.Duration(n)*spec.CharTime)
			f.Feed(now, line[:n])
			line = line[n:]
			frames, _ := drain2(t, f, now)
			out = append(out, frames...)
		}
		now = now.Add(between)
		frames, _ := drain2(t, f, now)
		out = append(out, frames...)
		tried++
	}
	if s := f.Stats(); !slices.Equal(texts(out), want) || s.Bad != 0 || s.Pending != 0 {
		t.Fatalf("%+v: %q, want %q, %+v", spec, texts(out), want, s)
	}
	return tried
}
